//! Finding which remotes and which mounted volumes have the newest commits of refs, which are
//! named by their collection (`ostree find-remotes`).
//!
//! First the candidates are gathered: [`configured`] and [`mounted`]. The caller fetches their
//! summaries, verified as their settings ask for, and [`newest`] keeps those that lead to the
//! newest commits. Which keys a commit has to be signed with never depends on who offers it, but
//! on the remote that its collection is configured for here: [`keyring_remote`].

mod newest;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use trefoil_format::name::CollectionId;
use trefoil_fsat::Dir;

pub use newest::{FoundRemote, fetch_commit, newest};
pub use volume::{USUAL_REPO, publish_repo, would_publish};

use crate::remote::Remote;
use crate::{CollectionRef, Repo, Result};

/// Where candidates come from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Finder {
    /// The remotes of the repository.
    Config,
    /// Volumes that are mounted.
    Mount,
}

impl Finder {
    /// The name of the type in libostree.
    pub fn type_name(self) -> &'static str {
        match self {
            Finder::Config => "OstreeRepoFinderConfig",
            Finder::Mount => "OstreeRepoFinderMount",
        }
    }

    /// The lower, the better to pull from.
    pub fn priority(self) -> i32 {
        match self {
            Finder::Config => 100,
            Finder::Mount => 50,
        }
    }
}

/// What may have some of the refs.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The remote; of a volume, the one here whose keys and name its refs are pulled with.
    pub remote: Remote,
    /// The repository on a volume; `None` for a remote as it is configured.
    pub directory: Option<PathBuf>,
    /// The refs it may be taken for.
    pub refs: BTreeSet<CollectionRef>,
}

impl Candidate {
    /// Who found it.
    pub fn finder(&self) -> Finder {
        match self.directory {
            None => Finder::Config,
            Some(_) => Finder::Mount,
        }
    }

    /// The address of a repository on a volume. Only what an address could not hold otherwise is
    /// escaped.
    pub fn directory_url(&self) -> Option<String> {
        let path = self.directory.as_ref()?.to_str()?;
        Some(format!("file://{}", path.replace('%', "%25")))
    }

    /// The keyring its commits are verified with.
    pub fn keyring(&self) -> String {
        format!("{}.trustedkeys.gpg", self.remote.name)
    }

    /// A name by which those of equal worth are sorted: that which libostree gives it.
    fn sort_name(&self) -> String {
        let Some(url) = self.directory_url() else { return self.remote.name.clone() };
        let mut name = String::new();
        for byte in format!("{url}_{}", self.keyring()).bytes() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => {
                    name.push(char::from(byte));
                }
                _ => write!(name, "_{byte:02X}").expect("a string takes any text"),
            }
        }
        name
    }
}

/// The remote whose keys count for a collection: the first by name that is configured with it.
pub fn keyring_remote<'r>(
    remotes: &'r BTreeMap<String, Remote>,
    collection: &CollectionId,
) -> Option<&'r Remote> {
    remotes.values().find(|remote| remote.collection().as_ref() == Some(collection))
}

/// The remotes that are configured with the collection of a wanted ref.
pub fn configured(
    remotes: &BTreeMap<String, Remote>,
    wanted: &BTreeSet<CollectionRef>,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    for remote in remotes.values() {
        let Some(id) = remote.collection() else { continue };
        let refs: BTreeSet<_> = wanted.iter().filter(|r| r.collection == id).cloned().collect();
        if !refs.is_empty() {
            found.push(Candidate { remote: remote.clone(), directory: None, refs });
        }
    }
    found
}

/// The repositories on mounted `volumes` that have wanted refs of collections which some remote
/// here is configured with. Of a volume, the first repository that has a ref counts.
///
/// # Errors
/// A volume that cannot be read; repositories that are broken are left out.
pub fn mounted(
    repo: &Repo,
    remotes: &BTreeMap<String, Remote>,
    volumes: &[Dir],
    wanted: &BTreeSet<CollectionRef>,
) -> Result<Vec<Candidate>> {
    let nothing = BTreeMap::new();
    let mut found: Vec<Candidate> = Vec::new();
    for volume in volumes {
        let mut open: BTreeSet<&CollectionRef> = wanted.iter().collect();
        for source in volume::repos_on(volume, repo)? {
            // What it has of remotes was verified by others, or by nobody.
            let Ok(offered) = source.list_collection_refs(&nothing) else { continue };
            let mut by_remote: BTreeMap<&str, (&Remote, BTreeSet<CollectionRef>)> = BTreeMap::new();
            open.retain(|wanted| {
                let keys = keyring_remote(remotes, &wanted.collection);
                let Some(remote) = keys.filter(|_| offered.contains_key(wanted)) else {
                    return true;
                };
                let entry = by_remote.entry(&remote.name);
                entry.or_insert((remote, BTreeSet::new())).1.insert((*wanted).clone());
                false
            });
            found.extend(by_remote.into_values().map(|(remote, refs)| Candidate {
                remote: remote.clone(),
                directory: Some(source.path().to_path_buf()),
                refs,
            }));
        }
    }
    Ok(found)
}
