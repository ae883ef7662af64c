use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, FileKind, Stat, Timestamp};

use super::Result;
use super::index_bytes::{decode, encode};

/// No index of a real `/etc` comes near this size.
const SIZE_LIMIT: u64 = 64 << 20;
const CLOCK_NAME: &str = ".trefoil-clock";

/// How an entry of `etc` stands to the defaults of its own deployment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// A copy of the default object that the entry's id names.
    Default,
    /// Copied from the merge deployment and equal to the default in all that libostree
    /// compares; times or extended attributes may differ.
    Same,
    /// Differs from the default.
    Modified,
    /// The defaults have nothing of that name.
    Added,
    /// A directory where the defaults have a file; what is in it is not in the index.
    Replaced,
}

/// What a stat must give for an entry to be taken as untouched.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) ino: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Stamp {
        Stamp {
            ino: stat.ino,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) relation: Relation,
    /// Of the default object, or of the copied node as [`super::copy`] counts it.
    pub(crate) id: Checksum,
    pub(crate) stamp: Stamp,
}

impl Entry {
    pub(crate) fn is_dir(&self) -> bool {
        FileKind::from_mode(self.stamp.mode) == FileKind::Directory
    }

    pub(crate) fn is_symlink(&self) -> bool {
        FileKind::from_mode(self.stamp.mode) == FileKind::Symlink
    }
}

/// What one `etc` held when it was made: for each entry its stat and what it is a copy of.
///
/// With it a later [`super::diff`] stats every entry once and opens only what changed. It is
/// a cache: [`EtcIndex::load`] refuses a damaged, older or foreign file, and the merge then
/// reads both trees. It must not be used for a deployment whose `usr/etc` may have been
/// written (unlocked, hotfix): it speaks of the commit's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcIndex {
    pub(crate) commit: Checksum,
    pub(crate) sealed: Timestamp,
    pub(crate) entries: BTreeMap<PathBuf, Entry>,
    /// Defaults that the result does not have; the topmost path of each.
    pub(crate) gone: BTreeSet<PathBuf>,
}

/// What became of reading an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It may be used.
    Good(EtcIndex),
    /// There is none.
    Missing,
    /// There is one that cannot be believed; the reason in words.
    Ignored(&'static str),
}

impl IndexState {
    /// The index, if it may be used.
    pub fn good(&self) -> Option<&EtcIndex> {
        match self {
            IndexState::Good(index) => Some(index),
            IndexState::Missing | IndexState::Ignored(_) => None,
        }
    }
}

impl EtcIndex {
    /// Reads the index `name` in `state`, made for a deployment of `commit`.
    pub fn load(state: &Dir, name: &str, commit: &Checksum) -> Result<IndexState> {
        let Some(file) = open_opt(state, name)? else { return Ok(IndexState::Missing) };
        if file.stat()?.size > SIZE_LIMIT {
            return Ok(IndexState::Ignored("it is too large"));
        }
        Ok(match decode(&file.read_all(SIZE_LIMIT)?) {
            Err(reason) => IndexState::Ignored(reason),
            Ok(index) if index.commit != *commit => {
                IndexState::Ignored("it was made for another commit")
            }
            Ok(index) => IndexState::Good(index),
        })
    }

    /// Writes the index as `name` in `state`: in one step, not durably. A file torn by a power
    /// cut is found by its checksum.
    pub fn store(&self, state: &Dir, name: &str) -> Result<()> {
        Ok(state.write(name, &encode(self), 0o600)?)
    }

    /// The commit whose defaults it speaks of.
    pub fn commit(&self) -> &Checksum {
        &self.commit
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether an entry is as it was sealed. One that changed in the very tick of the clock in
    /// which it was sealed could have changed again unseen, and is not believed.
    pub(crate) fn believes(&self, entry: &Entry, now: &Stat) -> bool {
        entry.stamp == Stamp::of(now) && entry.stamp.ctime < self.sealed
    }

    /// What it says of each path, without what differs between two trees of equal content: for
    /// comparisons in tests and for messages.
    pub fn describe(&self) -> Vec<String> {
        let entries = self.entries.iter();
        let gone = self.gone.iter().map(|path| format!("{}: gone", path.display()));
        entries
            .map(|(path, e)| format!("{}: {:?} {}", path.display(), e.relation, e.id))
            .chain(gone)
            .collect()
    }

    /// Whether `path` lies in a directory whose content the index does not describe.
    pub(crate) fn is_undescribed(&self, path: &Path) -> bool {
        path.ancestors()
            .skip(1)
            .any(|a| self.entries.get(a).is_some_and(|e| e.relation == Relation::Replaced))
    }
}

/// Everything strictly below `path` in a map ordered by path.
pub(crate) fn below<'a, T>(
    map: &'a BTreeMap<PathBuf, T>,
    path: &'a Path,
) -> impl Iterator<Item = (&'a PathBuf, &'a T)> {
    map.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded))
        .take_while(move |(p, _)| p.starts_with(path))
}

fn open_opt(state: &Dir, name: &str) -> Result<Option<trefoil_fsat::File>> {
    match state.open_file(name) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The time that the file system of `dir` gives a change made now, in its own granularity.
/// `dir` must lie on the file system of the `etc` that is sealed with it.
pub fn file_system_now(dir: &Dir) -> Result<Timestamp> {
    dir.unlink_opt(CLOCK_NAME)?;
    let now = dir.create_file(CLOCK_NAME, 0o600)?.stat()?.ctime;
    dir.unlink(CLOCK_NAME)?;
    Ok(now)
}
