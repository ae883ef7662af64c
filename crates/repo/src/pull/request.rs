use std::collections::{BTreeMap, BTreeSet};

use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec};

use super::PullOptions;
use crate::{Repo, RepoError, Result};

/// One thing to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRef {
    /// A ref of the source, or the checksum of a commit.
    pub name: String,
    /// For a ref: this commit instead of the one it points to at the source.
    pub commit: Option<Checksum>,
}

impl From<&str> for PullRef {
    fn from(name: &str) -> Self {
        PullRef { name: name.to_string(), commit: None }
    }
}

/// The commits to pull.
pub(super) struct Wanted {
    /// By the refs that will point to them.
    pub refs: BTreeMap<RefName, Checksum>,
    /// Asked for by checksum.
    pub commits: BTreeSet<Checksum>,
}

impl Wanted {
    pub fn resolve(source: &Repo, options: &PullOptions) -> Result<Wanted> {
        let mut wanted = Wanted { refs: BTreeMap::new(), commits: BTreeSet::new() };
        if options.refs.is_empty() {
            for (refspec, commit) in source.list_refs(None)? {
                wanted.refs.insert(local_name(&refspec.to_string())?, commit);
            }
            return Ok(wanted);
        }
        for asked in &options.refs {
            if let Ok(commit) = Checksum::from_hex(&asked.name) {
                wanted.commits.insert(commit);
                continue;
            }
            let name = local_name(&asked.name)?;
            let commit = match asked.commit {
                Some(commit) => commit,
                None => resolve(source, &name)?,
            };
            wanted.refs.insert(name, commit);
        }
        Ok(wanted)
    }
}

fn resolve(source: &Repo, name: &RefName) -> Result<Checksum> {
    source
        .resolve_refspec(&Refspec { remote: None, name: name.clone() }, true)?
        .ok_or_else(|| RepoError::RefNotFound { refspec: name.to_string() })
}

/// A name that can be a local ref, which `REMOTE:REF` cannot.
fn local_name(name: &str) -> Result<RefName> {
    RefName::new(name).map_err(|e| RepoError::format(format!("Invalid ref name {name}"), e))
}
