//! Remotes: sections `[remote "NAME"]` in the file `config` of a repository, and files of such
//! sections in a directory `remotes.d` that a system may have.

mod change;

use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::keyfile::KeyFile;
use trefoil_fsat::{Dir, FileKind, Fs};

pub use change::{
    IfExists, NewRemote, add_remote, delete_remote, would_add_remote, would_delete_remote,
};

use crate::pull::PullError;
use crate::summary::{Summary, read_summary};
use crate::{Repo, RepoError, Result};

const FILE_LIMIT: u64 = 1 << 20;
const FILE_SCHEME: &str = "file://";

/// Where a remote is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteSource {
    /// In the `config` of the repository.
    Config,
    /// In this file of `remotes.d`.
    File(String),
    /// In the parent repository.
    Parent,
}

/// A remote with its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Where it is configured.
    pub source: RemoteSource,
    group: String,
    settings: KeyFile,
}

impl Remote {
    /// A setting, `None` where it is not set.
    pub fn option(&self, key: &str) -> Option<String> {
        self.settings.string(&self.group, key)
    }

    /// A setting that is a list.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.settings.list(&self.group, key).unwrap_or_default()
    }

    /// A setting that is true or false, `None` where it is not set or neither.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.settings.bool(&self.group, key)?.ok()
    }

    /// Where its content is.
    ///
    /// # Errors
    /// It has no `url`.
    pub fn url(&self) -> Result<String> {
        self.option("url").ok_or_else(|| {
            RepoError::Refused(format!("No \"url\" option in remote \"{}\"", self.name))
        })
    }

    /// Refuses a remote that its owner has not set up yet, or that another program has to be
    /// asked about.
    pub fn check_usable(&self) -> std::result::Result<(), PullError> {
        if let Some(state) = self.option("unconfigured-state") {
            return Err(self.refuse(format!("remote unconfigured-state: {state}")));
        }
        if let Some(backend) = self.option("custom-backend") {
            let name = &self.name;
            let what = format!(
                "Cannot fetch via libostree - remote '{name}' uses custom backend '{backend}'"
            );
            return Err(self.refuse(what));
        }
        Ok(())
    }

    fn refuse(&self, what: String) -> PullError {
        PullError::Remote { remote: self.name.clone(), what }
    }
}

/// All remotes by name: of the repository's `config`, of `remotes_d` where the system has such
/// a directory, and of parent repositories. The first of a name counts.
///
/// # Errors
/// A file in `remotes_d` that cannot be parsed, or a name given twice.
pub fn list_remotes(repo: &Repo, remotes_d: Option<&Dir>) -> Result<BTreeMap<String, Remote>> {
    let mut remotes = BTreeMap::new();
    add_sections(&repo.config().key_file, &RemoteSource::Config, &mut remotes)?;
    if let Some(dir) = remotes_d {
        for entry in dir.sorted_entries()? {
            let Some(file) = entry.name.to_str().filter(|name| name.ends_with(".conf")) else {
                continue;
            };
            if entry.kind == FileKind::Regular {
                let settings = read_file(dir, file)?;
                add_sections(&settings, &RemoteSource::File(file.to_string()), &mut remotes)?;
            }
        }
    }
    if let Some(parent) = repo.parent() {
        for (name, remote) in list_remotes(parent, None)? {
            let source = RemoteSource::Parent;
            remotes.entry(name).or_insert(Remote { source, ..remote });
        }
    }
    Ok(remotes)
}

/// One remote.
///
/// # Errors
/// There is none of that name.
pub fn find_remote(repo: &Repo, remotes_d: Option<&Dir>, name: &str) -> Result<Remote> {
    list_remotes(repo, remotes_d)?
        .remove(name)
        .ok_or_else(|| RepoError::Refused(format!("Remote \"{name}\" not found")))
}

fn read_file(dir: &Dir, file: &str) -> Result<KeyFile> {
    let path = dir.path().join(file);
    let text = String::from_utf8(dir.read(file, FILE_LIMIT)?)
        .map_err(|_| RepoError::Refused(format!("{} is not UTF-8", path.display())))?;
    KeyFile::parse(&text).map_err(|source| RepoError::Config { path, source })
}

fn add_sections(
    settings: &KeyFile,
    source: &RemoteSource,
    remotes: &mut BTreeMap<String, Remote>,
) -> Result<()> {
    for group in settings.groups() {
        let Some(name) = group.strip_prefix("remote \"").and_then(|g| g.strip_suffix('"')) else {
            continue;
        };
        let remote = Remote {
            name: name.to_string(),
            source: source.clone(),
            group: group.to_string(),
            settings: settings.clone(),
        };
        if remotes.insert(name.to_string(), remote).is_some() {
            return Err(RepoError::Refused(format!(
                "Multiple specifications found for remote \"{name}\""
            )));
        }
    }
    Ok(())
}

/// Opens the repository that a `file://` address names.
///
/// # Errors
/// Another scheme: fetching over a network is not supported.
pub fn open_url(fs: &Fs, url: &str) -> Result<Repo> {
    let Some(path) = url.strip_prefix(FILE_SCHEME) else {
        let what = format!("{url}: only file:// is supported for pulling so far");
        return Err(RepoError::Refused(what));
    };
    let path = percent_decoded(path)
        .ok_or_else(|| RepoError::Refused(format!("{url} is not a valid address")))?;
    Repo::open(fs.open_dir(path)?)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: u8| char::from(b).to_digit(16);
        let value = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}

/// The refs that a `file://` remote offers in its summary.
///
/// # Errors
/// It has no summary.
pub fn remote_refs(fs: &Fs, remote: &Remote) -> Result<BTreeMap<String, Checksum>> {
    let source = open_url(fs, &remote.url()?)?;
    let Some(bytes) = read_summary(&source)? else {
        let what = "Remote refs not available; server has no summary file";
        return Err(RepoError::Refused(what.to_string()));
    };
    let summary = Summary::parse(&bytes)?;
    Ok(summary.refs.into_iter().map(|r| (r.name, r.commit)).collect())
}
