//! The seal of a deployment tree: what its directories looked like when we last knew that
//! they held their commit and nothing else.
//!
//! A directory's change time moves whenever a name in it is added, removed or replaced, and
//! when its mode, owner or attributes change, and nothing can set it back. So one `stat` per
//! directory tells whether any directory was touched since. It says nothing about the content
//! or metadata of files: those are shared with the repository, and the `full` check reads them.
//!
//! On disk a seal is a log. Its first record holds the whole tree; each conversion appends
//! what it changed, so that writing costs what changed. When the log has grown to twice its
//! beginning it is written anew. Every record carries a checksum; what does not parse to the
//! end is no seal.

use std::collections::BTreeMap;

use trefoil_format::checksum::{Checksum, Hasher};
use trefoil_fsat::{Dir, Stat};

use super::{SpareError, record};

/// Largest log we read: two million directories with long names.
const LIMIT: u64 = 256 << 20;
/// Changes whenever the layout does; an unknown one is no seal.
const MAGIC: &[u8; 8] = b"TRFSEAL1";

/// What identifies a directory's state.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DirSeal {
    /// Inode number.
    pub ino: u64,
    /// Change time, seconds.
    pub ctime_sec: i64,
    /// Change time, nanoseconds.
    pub ctime_nsec: u32,
}

impl From<&Stat> for DirSeal {
    fn from(stat: &Stat) -> Self {
        DirSeal { ino: stat.ino, ctime_sec: stat.ctime.sec, ctime_nsec: stat.ctime.nsec }
    }
}

/// One change to a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealChange {
    /// The directory is new or was changed by us, and looks like this now.
    Set(String, DirSeal),
    /// The directory is gone, and all beneath it.
    Removed(String),
}

/// The sealed directories of one tree: path relative to its root, without leading slash. The
/// root itself is not among them: renaming it moves its change time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    dirs: BTreeMap<String, DirSeal>,
}

impl Seal {
    /// The sealed directories in ascending order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DirSeal)> {
        self.dirs.iter().map(|(path, seal)| (path.as_str(), seal))
    }

    /// How many directories are sealed.
    pub fn len(&self) -> usize {
        self.dirs.len()
    }

    /// Whether no directory is sealed.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Applies changes in their order.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = SealChange>) {
        for change in changes {
            match change {
                SealChange::Set(path, seal) => {
                    self.dirs.insert(path, seal);
                }
                SealChange::Removed(path) => self.remove_tree(&path),
            }
        }
    }

    fn remove_tree(&mut self, path: &str) {
        self.dirs.remove(path);
        // '0' is the byte after '/': everything beneath sorts between the two.
        let below = self.dirs.range(format!("{path}/")..format!("{path}0"));
        let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            self.dirs.remove(&path);
        }
    }

    fn all(&self) -> Vec<SealChange> {
        self.dirs.iter().map(|(path, seal)| SealChange::Set(path.clone(), *seal)).collect()
    }
}

/// The log of one seal: a file in a directory of ours.
#[derive(Debug)]
pub struct SealLog<'d> {
    dir: &'d Dir,
    name: String,
}

impl<'d> SealLog<'d> {
    /// The log `name` in `dir`; nothing is opened.
    pub fn new(dir: &'d Dir, name: impl Into<String>) -> Self {
        SealLog { dir, name: name.into() }
    }

    /// Reads the seal of the tree that holds `commit`. `None` with a reason where there is
    /// none, it belongs to another commit, or it is damaged.
    pub fn load(&self, commit: &Checksum) -> Result<Result<Seal, String>, SpareError> {
        let Some(bytes) = self.dir.read_opt(&self.name, LIMIT)? else {
            return Ok(Err("it has no seal".into()));
        };
        Ok(parse(&bytes, commit).map(|(seal, _)| seal))
    }

    /// Starts the log anew with the whole seal. Replaces the file in one rename, unsynced.
    pub fn write(&self, commit: &Checksum, seal: &Seal) -> Result<(), SpareError> {
        let mut bytes = MAGIC.to_vec();
        let body = record::encode(commit, &seal.all());
        bytes.extend((body.len() as u64).to_le_bytes());
        append_record(&mut bytes, &body);
        Ok(self.dir.write(&self.name, &bytes, 0o600)?)
    }

    /// Adds what a conversion to `commit` changed. Reads nothing but the head of the log, so
    /// the cost is that of the change; a log that has grown twofold is written anew.
    pub fn append(&self, commit: &Checksum, changes: &[SealChange]) -> Result<(), SpareError> {
        let file = self.dir.open_append(&self.name)?;
        let size = file.stat()?.size;
        let mut bytes = Vec::new();
        append_record(&mut bytes, &record::encode(commit, changes));
        file.write_all(&bytes)?;
        let head = self.dir.open_file(&self.name)?.read_up_to(16)?;
        let base =
            head.get(8..16).map_or(0, |n| u64::from_le_bytes(n.try_into().unwrap_or([0; 8])));
        if size + bytes.len() as u64 > 2 * base.max(1 << 16) {
            self.compact(commit)?;
        }
        Ok(())
    }

    fn compact(&self, commit: &Checksum) -> Result<(), SpareError> {
        match self.load(commit)? {
            Ok(seal) => self.write(commit, &seal),
            // A log that cannot be read is found out when it is next relied on.
            Err(_) => Ok(()),
        }
    }
}

fn append_record(bytes: &mut Vec<u8>, body: &[u8]) {
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(checksum(body).as_bytes());
    bytes.extend(body);
}

fn checksum(body: &[u8]) -> Checksum {
    let mut hasher = Hasher::new();
    hasher.update(MAGIC);
    hasher.update(body);
    hasher.finish()
}

/// A log of this one record, whatever that holds, and what is read of it: for the fuzz targets,
/// which cannot guess checksums.
pub(crate) fn read_record(body: &[u8], commit: &Checksum) -> Result<Seal, String> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((body.len() as u64).to_le_bytes());
    append_record(&mut bytes, body);
    parse(&bytes, commit).map(|(seal, _)| seal)
}

/// Reads all records. The last one must be for `commit`.
fn parse(bytes: &[u8], commit: &Checksum) -> Result<(Seal, u64), String> {
    let damaged = || "its seal is damaged".to_string();
    let rest = bytes.strip_prefix(MAGIC).ok_or("its seal is of another version")?;
    let (base, mut rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
    let mut seal = Seal::default();
    let mut last = None;
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (sum, after) = after.split_first_chunk::<{ Checksum::LEN }>().ok_or_else(damaged)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| damaged())?;
        let (body, after) = after.split_at_checked(len).ok_or_else(damaged)?;
        if checksum(body).as_bytes() != sum {
            return Err(damaged());
        }
        let (of, changes) = record::decode(body).ok_or_else(damaged)?;
        last = Some(of);
        seal.apply(changes);
        rest = after;
    }
    match last {
        Some(of) if of == *commit => Ok((seal, u64::from_le_bytes(*base))),
        Some(of) => Err(format!("its seal is for commit {of}")),
        None => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(ino: u64) -> DirSeal {
        DirSeal { ino, ctime_sec: 1, ctime_nsec: 2 }
    }

    fn set(path: &str, ino: u64) -> SealChange {
        SealChange::Set(path.into(), seal(ino))
    }

    /// Guards: removing a directory takes what lies beneath it and no neighbour whose name
    /// merely begins alike.
    #[test]
    fn removal_takes_the_subtree_only() {
        let mut s = Seal::default();
        s.apply([set("a", 1), set("a/b", 2), set("a-b", 3), set("a0", 4), set("ab", 5)]);
        s.apply([SealChange::Removed("a".into())]);
        let left: Vec<&str> = s.iter().map(|(path, _)| path).collect();
        assert_eq!(left, ["a-b", "a0", "ab"]);
    }

    /// Guards: a flipped or missing byte anywhere makes the log no seal, and nothing panics.
    #[test]
    fn damage_is_noticed() {
        let commit = Checksum::of(b"c");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(8u64.to_le_bytes());
        append_record(&mut bytes, &record::encode(&commit, &[set("usr", 1), set("usr/lib", 2)]));
        append_record(
            &mut bytes,
            &record::encode(&commit, &[SealChange::Removed("usr/lib".into())]),
        );
        assert_eq!(parse(&bytes, &commit).expect("whole").0.len(), 1);
        for cut in 0..bytes.len() {
            let whole_record = parse(&bytes[..cut], &commit).is_ok_and(|(s, _)| s.len() == 2);
            assert!(whole_record || parse(&bytes[..cut], &commit).is_err(), "cut at {cut}");
        }
        for at in 16..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(parse(&bad, &commit).is_err(), "flip at {at}");
        }
        assert!(parse(&bytes, &Checksum::of(b"d")).is_err());
    }
}
