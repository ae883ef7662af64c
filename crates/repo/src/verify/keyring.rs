//! Where OpenPGP keyrings come from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use trefoil_fsat::{Dir, FileKind};
use trefoil_sign::gpg::{KEYRING_LIMIT, KeyInfo, Keyring};

use super::{KeySources, VerifyError, VerifyResult, files};
use crate::remote::{Remote, RemoteSource};
use crate::{Repo, RepoError};

/// Files that look like keyrings and are none.
const NO_KEYRINGS: [&str; 2] = ["trustdb.gpg", "secring.gpg"];

/// Whose keys.
#[derive(Clone, Debug)]
pub enum KeyringOf<'a> {
    /// Of one remote: its own keyring, the files and directories in `gpgkeypath`, and the
    /// keyrings of the system unless it has one of its own.
    Remote(&'a Remote),
    /// Of all remotes of the repository, and of the system: for commits that are here already.
    AllRemotes,
    /// Of the system alone.
    System,
    /// Of a directory of keyrings, beside those of all remotes and of the system.
    Homedir(PathBuf),
    /// Of a directory of keyrings, beside those of the system.
    SystemAnd(PathBuf),
}

/// The keys that count.
///
/// # Errors
/// A keyring that cannot be read or holds no OpenPGP data.
pub fn keyring(repo: &Repo, of: &KeyringOf<'_>, sources: &KeySources<'_>) -> VerifyResult<Keyring> {
    let mut ring = Keyring::default();
    let mut system = true;
    match of {
        KeyringOf::Remote(remote) => {
            if let Some(content) = remote_keyring(repo, &remote.name, sources)? {
                add(&mut ring, &content)?;
                system = false;
            }
            for path in key_paths(remote)? {
                add_path(&mut ring, repo, &path)?;
            }
        }
        KeyringOf::AllRemotes | KeyringOf::Homedir(_) => add_dir(&mut ring, repo.dir())?,
        KeyringOf::System | KeyringOf::SystemAnd(_) => {}
    }
    if system && let Some(path) = &sources.keyring_dir {
        add_dir_at(&mut ring, repo, path, true)?;
    }
    if let KeyringOf::Homedir(path) | KeyringOf::SystemAnd(path) = of {
        add_dir_at(&mut ring, repo, path, false)?;
    }
    Ok(ring)
}

/// Adds a keyring. An empty file is an empty keyring.
fn add(ring: &mut Keyring, content: &[u8]) -> VerifyResult<()> {
    if !content.is_empty() {
        ring.add(content)?;
    }
    Ok(())
}

/// `NAME.trustedkeys.gpg`: of the repository, of `remotes.d`, of the parent repository.
fn remote_keyring(
    repo: &Repo,
    name: &str,
    sources: &KeySources<'_>,
) -> VerifyResult<Option<Vec<u8>>> {
    let file = keyring_name(name);
    let read = |dir: &Dir| dir.read_opt(&file, KEYRING_LIMIT).map_err(RepoError::from);
    if let Some(content) = read(repo.dir())? {
        return Ok(Some(content));
    }
    if let Some(dir) = sources.remotes_d
        && let Some(content) = read(dir)?
    {
        return Ok(Some(content));
    }
    match repo.parent() {
        Some(parent) => remote_keyring(parent, name, &KeySources::default()),
        None => Ok(None),
    }
}

fn keyring_name(remote: &str) -> String {
    format!("{remote}.trustedkeys.gpg")
}

/// `gpgkeypath` is a list divided by `;` or by `,`, after the last of which nothing need follow.
fn key_paths(remote: &Remote) -> VerifyResult<Vec<PathBuf>> {
    let Some(text) = remote.option("gpgkeypath") else { return Ok(Vec::new()) };
    let separator = match (text.contains(';'), text.contains(',')) {
        (true, true) => {
            return Err(VerifyError::Setting {
                remote: remote.name.clone(),
                key: "gpgkeypath".to_string(),
                problem: "key value list contains more than one separator".to_string(),
            });
        }
        (true, false) => ';',
        (false, _) => ',',
    };
    let mut paths: Vec<&str> = text.split(separator).collect();
    if paths.last() == Some(&"") {
        paths.pop();
    }
    Ok(paths.into_iter().map(PathBuf::from).collect())
}

/// A file of keys, or a directory of such files; others in a directory are passed over.
fn add_path(ring: &mut Keyring, repo: &Repo, path: &Path) -> VerifyResult<()> {
    if let Ok(dir) = repo.fs().open_dir(path) {
        for entry in dir.sorted_entries().map_err(RepoError::from)? {
            if entry.kind == FileKind::Regular {
                let content = dir.read(&entry.name, KEYRING_LIMIT).map_err(RepoError::from)?;
                let _ = ring.add(&content);
            }
        }
        return Ok(());
    }
    let missing = || {
        let text = format!("opendir({}): No such file or directory", path.display());
        VerifyError::from(RepoError::Refused(text))
    };
    add(ring, &files::read(repo.fs(), path, KEYRING_LIMIT)?.ok_or_else(missing)?)
}

fn add_dir_at(ring: &mut Keyring, repo: &Repo, path: &Path, optional: bool) -> VerifyResult<()> {
    match repo.fs().open_dir(path) {
        Ok(dir) => add_dir(ring, &dir),
        Err(_) if optional => Ok(()),
        Err(error) => Err(RepoError::from(error).into()),
    }
}

/// All keyrings `*.gpg` of a directory.
fn add_dir(ring: &mut Keyring, dir: &Dir) -> VerifyResult<()> {
    for entry in dir.sorted_entries().map_err(RepoError::from)? {
        let Some(name) = entry.name.to_str().filter(|name| name.ends_with(".gpg")) else {
            continue;
        };
        if entry.kind == FileKind::Regular && !NO_KEYRINGS.contains(&name) {
            let content = dir.read(name, KEYRING_LIMIT).map_err(RepoError::from)?;
            add(ring, &content)?;
        }
    }
    Ok(())
}

/// The certificates of a remote's keyring, or with [`KeyringOf::System`] of the system. A
/// remote without a keyring has none, whatever the system trusts.
///
/// # Errors
/// A keyring that cannot be read.
pub fn list_keys(
    repo: &Repo,
    of: &KeyringOf<'_>,
    sources: &KeySources<'_>,
) -> VerifyResult<Vec<KeyInfo>> {
    let mut sources = sources.clone();
    if let KeyringOf::Remote(_) = of {
        sources.keyring_dir = None;
    }
    let ring = keyring(repo, of, &sources)?;
    if ring.is_empty() {
        return Ok(Vec::new());
    }
    Ok(ring.keys(sources.now)?)
}

/// Adds certificates to the keyring of a remote, all of `source` or those that `wanted` names
/// by fingerprint, key id, or a part of a user id. Gives the number of new ones; of those that
/// were there, new signatures and revocations are added. One rename, durable where the
/// repository syncs.
///
/// # Errors
/// A wanted key is not in `source`; nothing is written.
pub fn import_keys(
    repo: &Repo,
    remote: &Remote,
    sources: &KeySources<'_>,
    source: &Keyring,
    wanted: &[String],
) -> VerifyResult<usize> {
    let mut ring = own_ring(repo, remote, sources)?;
    let added = ring.import(source, wanted)?;
    let content = ring.to_bytes()?;
    let file = keyring_name(&remote.name);
    match (&remote.source, sources.remotes_d) {
        (RemoteSource::File(_), Some(dir)) => {
            dir.write_durable(&file, &content, 0o644).map_err(RepoError::from)?;
        }
        _ => repo.replace_file(repo.dir(), &file, &content, repo.config().fsync)?,
    }
    Ok(added)
}

/// What [`import_keys`] would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyImport {
    /// How many new certificates it would say that there are.
    pub count: usize,
    /// Those.
    pub added: Vec<KeyInfo>,
}

/// Tells which certificates [`import_keys`] would add, and writes nothing.
///
/// # Errors
/// As of [`import_keys`].
pub fn plan_import_keys(
    repo: &Repo,
    remote: &Remote,
    sources: &KeySources<'_>,
    source: &Keyring,
    wanted: &[String],
) -> VerifyResult<KeyImport> {
    let mut ring = own_ring(repo, remote, sources)?;
    let here: BTreeSet<String> =
        ring.keys(sources.now)?.iter().filter_map(fingerprint).map(str::to_string).collect();
    let count = ring.import(source, wanted)?;
    let mut added = ring.keys(sources.now)?;
    added.retain(|key| fingerprint(key).is_none_or(|found| !here.contains(found)));
    Ok(KeyImport { count, added })
}

fn fingerprint(key: &KeyInfo) -> Option<&str> {
    key.subkeys.first().map(|primary| primary.fingerprint.as_str())
}

/// The keyring of the remote itself, empty where it has none.
fn own_ring(repo: &Repo, remote: &Remote, sources: &KeySources<'_>) -> VerifyResult<Keyring> {
    let mut ring = Keyring::default();
    if let Some(content) = remote_keyring(repo, &remote.name, sources)? {
        add(&mut ring, &content)?;
    }
    Ok(ring)
}
