//! The deltas that lie in a repository, and the lists of them.

use std::collections::{BTreeMap, BTreeSet};

use trefoil_delta::{DeltaIndex, DeltaName, index_name, index_path};
use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, FileKind, LockMode};

use crate::replace::temp_path;
use crate::{Repo, RepoError, Result};

/// Largest superblock that is read from a file, in bytes. Parts may lie within it.
pub(super) const SUPERBLOCK_LIMIT: u64 = 2 << 30;
const DIR_MODE: u32 = 0o775;

/// All deltas that have a superblock, in order. Other names below `deltas/` are left alone.
pub fn list_deltas(repo: &Repo) -> Result<Vec<DeltaName>> {
    let mut deltas = Vec::new();
    for (prefix, dir) in prefix_dirs(repo, "deltas")? {
        for entry in dir.entries()? {
            let Some(rest) = entry.name.to_str() else { continue };
            let name = DeltaName::from_base64(&format!("{prefix}{rest}"));
            if let Some(name) = name
                && entry.kind == FileKind::Directory
                && dir.exists(format!("{rest}/superblock"))?
            {
                deltas.push(name);
            }
        }
    }
    deltas.sort_unstable();
    Ok(deltas)
}

/// The directories of two characters below `top`.
fn prefix_dirs(repo: &Repo, top: &str) -> Result<Vec<(String, Dir)>> {
    let Some(top) = repo.dir().open_dir_opt(top)? else { return Ok(Vec::new()) };
    let mut dirs = Vec::new();
    for entry in top.entries()? {
        if let (Some(name), FileKind::Directory) = (entry.name.to_str(), entry.kind)
            && name.len() == 2
        {
            dirs.push((name.to_string(), top.open_dir(name)?));
        }
    }
    Ok(dirs)
}

/// Whether the delta has a superblock.
pub fn has_delta(repo: &Repo, name: &DeltaName) -> Result<bool> {
    Ok(repo.dir().exists(name.superblock_path())?)
}

/// The bytes of the superblock of a delta, with signatures where it has some.
pub fn read_delta(repo: &Repo, name: &DeltaName) -> Result<Vec<u8>> {
    Ok(repo.dir().read(name.superblock_path(), SUPERBLOCK_LIMIT)?)
}

/// The bytes of a part that lies beside the superblock.
pub fn read_part(repo: &Repo, name: &DeltaName, index: usize, limit: u64) -> Result<Vec<u8>> {
    Ok(repo.dir().read(name.part_path(index), limit)?)
}

/// Removes a delta. The list of deltas to its commit is not changed, as in libostree.
pub fn delete_delta(repo: &Repo, name: &DeltaName) -> Result<()> {
    dir_of(repo, name)?;
    remove_delta(repo, name)
}

/// The files of a delta.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaFiles {
    /// How many there are, the superblock among them.
    pub files: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// What [`delete_delta`] would remove.
///
/// # Errors
/// There is no such delta.
pub fn delta_files(repo: &Repo, name: &DeltaName) -> Result<DeltaFiles> {
    let dir = dir_of(repo, name)?;
    let mut found = DeltaFiles::default();
    for entry in dir.entries()? {
        found.files += 1;
        found.bytes += dir.stat(&entry.name)?.size;
    }
    Ok(found)
}

fn dir_of(repo: &Repo, name: &DeltaName) -> Result<Dir> {
    let missing = || RepoError::Refused(format!("Can't find delta {name}"));
    repo.dir().open_dir_opt(name.dir())?.ok_or_else(missing)
}

/// Takes a delta away in one step, and then deletes it: dying in between leaves it in `tmp`,
/// where the next transaction finds it when it is old, and never a part of it in its place.
pub(crate) fn remove_delta(repo: &Repo, name: &DeltaName) -> Result<()> {
    let gone = temp_path("gone");
    repo.dir().ensure_dir("tmp", DIR_MODE)?;
    // Of a dead process with the same number.
    repo.dir().remove_all(&gone)?;
    repo.dir().rename(name.dir(), repo.dir(), &gone)?;
    match repo.dir().remove_all(&gone) {
        // A transaction that clears `tmp` was faster: a short expiry makes it old at once.
        Err(e) if e.is_not_found() => Ok(()),
        removed => Ok(removed.map(|_| ())?),
    }
}

/// The deltas with the checksums of their superblocks, as the summary lists them.
pub fn delta_digests(repo: &Repo, deltas: &[DeltaName]) -> Result<DeltaIndex> {
    let digest = |name: &DeltaName| Ok((*name, Checksum::of(&read_delta(repo, name)?)));
    Ok(DeltaIndex(deltas.iter().map(digest).collect::<Result<_>>()?))
}

/// The commits that a list of deltas exists for, in order.
pub fn list_delta_indexes(repo: &Repo) -> Result<Vec<Checksum>> {
    let mut indexes = Vec::new();
    for (prefix, dir) in prefix_dirs(repo, "delta-indexes")? {
        for entry in dir.entries()? {
            let rest = entry.name.to_str().filter(|_| entry.kind == FileKind::Regular);
            indexes.extend(rest.and_then(|rest| index_name(&prefix, rest)));
        }
    }
    indexes.sort_unstable();
    Ok(indexes)
}

/// Brings the lists of deltas (`delta-indexes/`) up to date, or only that of the deltas to
/// `only`, and notes in the config that there are lists (`core.indexed-deltas`).
///
/// Each file is replaced in one step, durably where the repository syncs. Takes the shared
/// repository lock.
pub fn reindex_deltas(repo: &Repo, only: Option<&Checksum>) -> Result<()> {
    let _lock = repo.lock(LockMode::Shared)?;
    let plan = plan_reindex(repo, only)?;
    if let Some(config) = plan.config {
        repo.replace_file(repo.dir(), "config", config.as_bytes(), repo.config().fsync)?;
    }
    for (to, index) in plan.written {
        write_index(repo, &to, &index)?;
    }
    for to in plan.removed {
        repo.dir().unlink_opt(index_path(&to))?;
    }
    Ok(())
}

/// What [`reindex_deltas`] would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReindexPlan {
    /// The lists that are not there or are others, by the commit that their deltas lead to.
    pub written: BTreeMap<Checksum, DeltaIndex>,
    /// The commits no delta leads to any more, although there is a list.
    pub removed: BTreeSet<Checksum>,
    /// The new config, where that has to say that there are lists.
    pub config: Option<String>,
}

/// Tells what [`reindex_deltas`] would do. Reads the deltas and the lists, writes nothing and
/// takes no lock.
pub fn plan_reindex(repo: &Repo, only: Option<&Checksum>) -> Result<ReindexPlan> {
    let mut plan = ReindexPlan { config: indexed_config(repo)?, ..ReindexPlan::default() };
    let mut wanted: BTreeSet<Checksum> = match only {
        Some(only) => BTreeSet::from([*only]),
        None => list_delta_indexes(repo)?.into_iter().collect(),
    };
    let mut deltas: BTreeMap<Checksum, Vec<DeltaName>> = BTreeMap::new();
    for name in list_deltas(repo)? {
        if only.is_none_or(|only| *only == name.to) {
            wanted.insert(name.to);
            deltas.entry(name.to).or_default().push(name);
        }
    }
    for to in wanted {
        let Some(deltas) = deltas.get(&to) else {
            if repo.dir().exists(index_path(&to))? {
                plan.removed.insert(to);
            }
            continue;
        };
        let index = delta_digests(repo, deltas)?;
        if !has_index(repo, &to, &index.to_bytes()) {
            plan.written.insert(to, index);
        }
    }
    Ok(plan)
}

/// Whether the list is there and the same.
fn has_index(repo: &Repo, to: &Checksum, bytes: &[u8]) -> bool {
    // One that is longer is an error of reading, and another one in any case.
    let old = repo.dir().read_opt(index_path(to), bytes.len() as u64);
    old.is_ok_and(|old| old.as_deref() == Some(bytes))
}

fn write_index(repo: &Repo, to: &Checksum, index: &DeltaIndex) -> Result<()> {
    let (path, bytes) = (index_path(to), index.to_bytes());
    let (parent, file) = path.rsplit_once('/').unwrap_or(("", &path));
    repo.dir().ensure_dirs(parent, DIR_MODE)?;
    repo.replace_file(&repo.dir().open_dir(parent)?, file, &bytes, repo.config().fsync)
}

/// Clients of a repository without a summary learn from its config that there are lists. `None`
/// where it says so.
fn indexed_config(repo: &Repo) -> Result<Option<String>> {
    let mut key_file = repo.config().key_file.clone();
    if matches!(key_file.bool("core", "indexed-deltas"), Some(Ok(true))) {
        return Ok(None);
    }
    key_file
        .set_bool("core", "indexed-deltas", true)
        .map_err(|source| RepoError::Config { path: repo.path().to_path_buf(), source })?;
    Ok(Some(key_file.to_string()))
}
