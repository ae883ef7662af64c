//! The index of a source directory: what its files were when they were last imported, so that
//! the next commit reads those that changed.
//!
//! One file below the repository's `trefoil/index/` for each source directory and set of
//! options that make a difference. It is a cache: lost, damaged, of another version or of
//! another machine it is ignored, and the commit costs what it costs without.
//!
//! What is believed: that a file whose device, inode, size, mode, owner, modification time and
//! change time are what they were has the content and attributes it had. The change time moves
//! with every write and every change of metadata, and no call sets it. Files that were
//! changed within two seconds before an import are read again by the next. As in git, writing
//! through a memory map that was made before the import is noticed only when the kernel
//! updates the times.
//!
//! Nothing is believed of what is mounted read-only: images are made with any times one likes,
//! and another one may take the place of the last.

mod record;
mod walk;

use trefoil_format::checksum::{Checksum, Hasher};
use trefoil_fsat::{Dir, Timestamp};

use super::import::Import;
use super::modifier::TreePath;
use super::{CommitModifier, ImportStats};
use crate::deep::on_deep_stacks;
use crate::traverse::load_commit_opt;
use crate::{CommitState, Repo, RepoError, Result, Transaction, TreeId};
use record::{OldDir, Record};
use walk::{Walk, Walked};

/// Where the indexes are, below the repository.
const DIR: &str = "trefoil/index";
/// Changes with the layout, and with what an entry depends on.
const MAGIC: &[u8; 8] = b"TRFINDX1";
const HEAD_LEN: usize = 8 + 2 * Checksum::LEN;
/// Largest index we read: some ten million files.
const LIMIT: u64 = 2 << 30;
/// How many are kept; those not written for the longest time go first.
const KEPT: usize = 32;
const DIR_MODE: u32 = 0o755;

/// The index of one source directory, as it was found.
#[derive(Debug)]
pub struct CommitIndex {
    key: Checksum,
    body: std::result::Result<Vec<u8>, String>,
    now: Timestamp,
}

impl CommitIndex {
    /// Reads the index of `dir` for these options. What cannot be used is as if it was not
    /// there; [`CommitIndex::ignored`] tells why. `now` is the time of the clock that files get
    /// their times from: it tells which of them may still be changing.
    pub fn open(
        repo: &Repo,
        dir: &Dir,
        modifier: &CommitModifier,
        now: Timestamp,
    ) -> Result<CommitIndex> {
        let stat = dir.stat_self()?;
        let mut key = Hasher::new();
        key.update(MAGIC);
        key.update(&stat.dev.to_le_bytes());
        key.update(&stat.ino.to_le_bytes());
        // Device numbers are given out again.
        key.update(&dir.space()?.id.to_le_bytes());
        // Not everybody sees all extended attributes.
        key.update(&dir.fs().effective_user().to_le_bytes());
        key.update(modifier.fingerprint(repo.mode()).as_bytes());
        let key = key.finish();
        let body = match repo.dir().read_opt(format!("{DIR}/{}", key.to_hex()), LIMIT) {
            Ok(None) => Err(String::new()),
            Ok(Some(bytes)) => verify(bytes, &key),
            Err(e) => Err(e.to_string()),
        };
        Ok(CommitIndex { key, body, now })
    }

    /// Whether there is one that can be used.
    pub fn is_usable(&self) -> bool {
        self.body.is_ok()
    }

    /// Why the index that is there is not used.
    pub fn ignored(&self) -> Option<&str> {
        self.body.as_ref().err().map(String::as_str).filter(|why| !why.is_empty())
    }

    fn root(&self) -> Option<OldDir<'_>> {
        OldDir::parse(self.body.as_ref().ok()?)
    }

    /// Imports `dir` as a whole tree: what [`import_dir`](super::import_dir) into an empty
    /// tree and [`MutableTree::write`](crate::MutableTree::write) do, with the same result,
    /// but files that are as the index has them are not read, and directories that are not
    /// listed. Costs one `stat` per file and three calls per directory that did not change.
    ///
    /// The index must have been opened for this directory and modifier. `consume` is refused:
    /// there is no next time for what is gone.
    pub fn import(
        &self,
        transaction: &Transaction<'_>,
        dir: &Dir,
        modifier: &CommitModifier,
    ) -> Result<Indexed> {
        self.import_by(Import::new(transaction, modifier), dir)
    }

    /// What [`CommitIndex::import`] does, with an import of the caller's.
    pub(super) fn import_by(&self, import: Import<'_>, dir: &Dir) -> Result<Indexed> {
        let modifier = import.modifier;
        if modifier.consume || modifier.whiteouts {
            return Err(RepoError::Refused(
                "a tree that is consumed, or laid over another, has no index".to_string(),
            ));
        }
        let root = self.root();
        let complete = match root {
            Some(old) => is_complete(import.transaction.repo(), &old.id)?,
            None => false,
        };
        let walk = Walk { import, now: self.now, complete };
        let walked = on_deep_stacks(|| walk.directory(dir, root, None, &TreePath::ROOT))?;
        let Some(Walked { id, record }) = walked else {
            return Err(RepoError::Refused("Can't commit an empty tree".to_string()));
        };
        let fresh = match record {
            Record::Same(_) => None,
            Record::New(_) => Some(lay_out(&record, &self.key)),
        };
        Ok(Indexed { tree: id, stats: walk.import.stats(), fresh, key: self.key })
    }
}

/// The file of an index.
fn lay_out(record: &Record<'_>, key: &Checksum) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_LEN];
    record.write_to(&mut bytes);
    let sum = Checksum::of(&bytes[HEAD_LEN..]);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..8 + Checksum::LEN].copy_from_slice(key.as_bytes());
    bytes[8 + Checksum::LEN..HEAD_LEN].copy_from_slice(sum.as_bytes());
    bytes
}

/// A tree that was imported with an index, and the index for the next time.
#[derive(Debug)]
#[must_use]
pub struct Indexed {
    /// The tree, staged in the transaction.
    pub tree: TreeId,
    /// What was looked at.
    pub stats: ImportStats,
    /// The new index file, unless the old one still holds.
    fresh: Option<Vec<u8>>,
    key: Checksum,
}

impl Indexed {
    /// Replaces the index, after the transaction was committed. Not durable: an index that does
    /// not survive a crash is one that is damaged or old, and neither is believed.
    pub fn save(self, repo: &Repo) -> Result<()> {
        let Some(bytes) = self.fresh else { return Ok(()) };
        let name = self.key.to_hex();
        repo.dir().ensure_dirs(DIR, DIR_MODE)?;
        let dir = repo.dir().open_dir(DIR)?;
        let known = dir.exists(&name)?;
        repo.replace_file(&dir, &name, &bytes, false)?;
        if known { Ok(()) } else { drop_oldest(&dir) }
    }
}

/// Whether all objects of a tree are in the repository without looking for each: so it is for
/// the tree of a commit that a ref points to and that is not marked partial. The caller holds
/// the repository lock; that of a parent repository, where objects may be, nobody holds.
fn is_complete(repo: &Repo, tree: &TreeId) -> Result<bool> {
    if repo.parent().is_some() {
        return Ok(false);
    }
    for commit in repo.list_refs(None)?.into_values() {
        if repo.commit_state(&commit)? == CommitState::Normal
            && load_commit_opt(repo, &commit)?.is_some_and(|c| TreeId::of_commit(&c) == *tree)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many files and directories a body holds, as far as it can be read: for the fuzz targets.
pub(crate) fn count(body: &[u8]) -> (usize, usize) {
    let (mut files, mut dirs) = (0, 0);
    let mut waiting: Vec<OldDir<'_>> = OldDir::parse(body).into_iter().collect();
    while let Some(dir) = waiting.pop() {
        dirs += 1;
        files += dir.files().map_or(0, |files| files.len());
        waiting.extend(dir.dirs().unwrap_or_default().into_iter().map(|(_, dir)| dir));
    }
    (files, dirs)
}

fn verify(mut bytes: Vec<u8>, key: &Checksum) -> std::result::Result<Vec<u8>, String> {
    let head = bytes.get(..HEAD_LEN).ok_or("it is damaged")?;
    if &head[..8] != MAGIC {
        return Err("it is of another version".to_string());
    }
    let sums = &head[8..];
    if &sums[..Checksum::LEN] != key.as_bytes() {
        return Err("it is that of another directory".to_string());
    }
    if &sums[Checksum::LEN..] != Checksum::of(&bytes[HEAD_LEN..]).as_bytes() {
        return Err("it is damaged".to_string());
    }
    bytes.drain(..HEAD_LEN);
    Ok(bytes)
}

fn drop_oldest(dir: &Dir) -> Result<()> {
    let entries = dir.entries()?;
    if entries.len() <= KEPT {
        return Ok(());
    }
    let mut aged = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(stat) = dir.stat_opt(&entry.name)? {
            aged.push((stat.mtime, entry.name));
        }
    }
    aged.sort_unstable();
    let surplus = aged.len().saturating_sub(KEPT);
    for (_, name) in aged.into_iter().take(surplus) {
        dir.unlink_opt(&name)?;
    }
    Ok(())
}
