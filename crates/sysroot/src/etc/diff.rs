use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, File, FileKind, Stat};

use super::Result;
use super::index::{EtcIndex, Relation};
use super::scan::{Scan, open, stat_opt};

/// Files are compared in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Something in the local `etc` that the defaults do not have like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// The path below `etc`.
    pub path: PathBuf,
    /// Its metadata.
    pub stat: Stat,
    /// What the index knows it to be.
    pub(crate) id: Option<Checksum>,
}

impl LocalNode {
    /// The type.
    pub fn kind(&self) -> FileKind {
        self.stat.kind()
    }
}

/// What it took to find the changes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffStats {
    /// Entries looked up, both sides together.
    pub stats: u64,
    /// Pairs of files whose content was compared.
    pub compared: u64,
    /// Bytes read for that.
    pub bytes_read: u64,
    /// Whether the index could be used.
    pub indexed: bool,
}

/// What the administrator changed, as libostree counts it: type, owner, mode, link target and
/// content; neither extended attributes nor times. Paths are below `etc` and in ascending
/// order.
///
/// A removed directory stands for all below it, as does one that was replaced by something
/// else, or took its place. An added directory is followed by everything in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalChanges {
    /// On both sides, but different.
    pub modified: Vec<LocalNode>,
    /// Only in the defaults.
    pub removed: Vec<PathBuf>,
    /// Only in the local `etc`.
    pub added: Vec<LocalNode>,
    /// The cost.
    pub stats: DiffStats,
    /// Local directories known to be plain copies of the default directory of that checksum.
    pub(crate) default_dirs: BTreeMap<PathBuf, Checksum>,
}

impl LocalChanges {
    /// Whether the local `etc` is as the defaults are.
    pub fn is_empty(&self) -> bool {
        self.modified.is_empty() && self.removed.is_empty() && self.added.is_empty()
    }

    fn sort(&mut self) {
        self.modified.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.added.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.removed.sort_unstable();
    }
}

/// Finds what differs between a deployment's `usr/etc` and its `etc`.
///
/// With the index `known` of that `etc`, entries that are as they were sealed cost one stat;
/// an index of another directory is not used, which [`DiffStats::indexed`] tells.
pub fn diff(old_defaults: &Dir, local: &Dir, known: Option<&EtcIndex>) -> Result<LocalChanges> {
    let mut differ = Differ { old: old_defaults, local, out: LocalChanges::default() };
    let scan = match known {
        Some(index) => Scan::of(index, local)?.map(|scan| (index, scan)),
        None => None,
    };
    match scan {
        Some((index, scan)) => differ.by_index(index, scan)?,
        None => differ.children(Path::new(""))?,
    }
    differ.out.sort();
    Ok(differ.out)
}

/// Whether anything at or below `path` differs between two trees, as [`diff`] compares.
pub(crate) fn differs(old: &Dir, new: &Dir, path: &Path) -> Result<bool> {
    let mut differ = Differ { old, local: new, out: LocalChanges::default() };
    differ.compare(path)?;
    Ok(!differ.out.is_empty())
}

/// The types that libostree tells apart.
fn class(kind: FileKind) -> u8 {
    match kind {
        FileKind::Regular => 0,
        FileKind::Directory => 1,
        FileKind::Symlink => 2,
        _ => 3,
    }
}

fn same_metadata(a: &Stat, b: &Stat) -> bool {
    (a.mode, a.uid, a.gid) == (b.mode, b.uid, b.gid)
}

struct Differ<'a> {
    old: &'a Dir,
    local: &'a Dir,
    out: LocalChanges,
}

impl Differ<'_> {
    fn by_index(&mut self, index: &EtcIndex, scan: Scan) -> Result<()> {
        self.out.stats.indexed = true;
        self.out.stats.stats += scan.stats;
        self.out.default_dirs = scan.default_dirs.into_iter().collect();
        for (path, entry, stat) in scan.own {
            let node = LocalNode { path, stat, id: Some(entry.id) };
            match entry.relation {
                Relation::Default | Relation::Same => {}
                Relation::Modified | Relation::Replaced => self.out.modified.push(node),
                Relation::Added => self.out.added.push(node),
            }
        }
        let replaced =
            |path: &Path| index.entries.get(path).is_some_and(|e| e.relation == Relation::Replaced);
        for (path, stat) in scan.dirs {
            if !path.as_os_str().is_empty() && !replaced(&path) {
                self.directory(path, stat)?;
            }
        }
        let mut settled = BTreeSet::new();
        let changed = scan.changed.into_iter().map(|(path, _)| path);
        for path in changed.chain(scan.appeared) {
            self.compare(&path)?;
            settled.insert(path);
        }
        // What was removed before the index was made is still so unless its place changed.
        for path in &index.gone {
            if !path.ancestors().any(|a| settled.contains(a)) {
                self.out.removed.push(path.clone());
            }
        }
        Ok(())
    }

    /// A directory that changed since it was sealed; its entries are compared one by one.
    fn directory(&mut self, path: PathBuf, stat: Stat) -> Result<()> {
        let old = self.stat_old(&path)?;
        let node = LocalNode { path, stat, id: None };
        match old {
            None => self.out.added.push(node),
            Some(old) if same_metadata(&old, &stat) => {}
            Some(_) => self.out.modified.push(node),
        }
        Ok(())
    }

    fn stat_old(&mut self, path: &Path) -> Result<Option<Stat>> {
        self.out.stats.stats += 1;
        stat_opt(self.old, path)
    }

    fn stat_local(&mut self, path: &Path) -> Result<Option<Stat>> {
        self.out.stats.stats += 1;
        stat_opt(self.local, path)
    }

    /// Compares one path and, where it leads to directories, all below it.
    fn compare(&mut self, path: &Path) -> Result<()> {
        let old = self.stat_old(path)?;
        let local = self.stat_local(path)?;
        match (old, local) {
            (None, None) => Ok(()),
            (Some(_), None) => {
                self.out.removed.push(path.to_path_buf());
                Ok(())
            }
            (None, Some(stat)) => self.added(path.to_path_buf(), stat),
            (Some(old), Some(stat)) => self.pair(path, &old, &stat),
        }
    }

    fn added(&mut self, path: PathBuf, stat: Stat) -> Result<()> {
        if stat.is_dir() {
            for name in names(self.local, &path)? {
                let child = path.join(name);
                if let Some(stat) = self.stat_local(&child)? {
                    self.added(child, stat)?;
                }
            }
        }
        self.out.added.push(LocalNode { path, stat, id: None });
        Ok(())
    }

    fn pair(&mut self, path: &Path, old: &Stat, stat: &Stat) -> Result<()> {
        let same_type = class(old.kind()) == class(stat.kind());
        let same = same_type
            && same_metadata(old, stat)
            && match stat.kind() {
                FileKind::Regular => old.size == stat.size && self.same_content(path)?,
                FileKind::Symlink => self.old.read_link(path)? == self.local.read_link(path)?,
                _ => true,
            };
        if !same {
            let node = LocalNode { path: path.to_path_buf(), stat: *stat, id: None };
            self.out.modified.push(node);
        }
        if same_type && stat.is_dir() { self.children(path) } else { Ok(()) }
    }

    fn children(&mut self, path: &Path) -> Result<()> {
        let mut all: BTreeSet<OsString> = names(self.old, path)?.collect();
        all.extend(names(self.local, path)?);
        all.iter().try_for_each(|name| self.compare(&path.join(name)))
    }

    fn same_content(&mut self, path: &Path) -> Result<bool> {
        let (old, local) = (self.old.open_file(path)?, self.local.open_file(path)?);
        self.out.stats.compared += 1;
        same_bytes(&old, &local, &mut self.out.stats.bytes_read)
    }
}

fn names(root: &Dir, path: &Path) -> Result<impl Iterator<Item = OsString> + use<>> {
    Ok(open(root, path)?.entries()?.into_iter().map(|entry| entry.name))
}

/// Whether two open files hold the same bytes from where they stand.
pub(crate) fn same_bytes(a: &File, b: &File, read: &mut u64) -> Result<bool> {
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let (n, m) = (fill(a, &mut left)?, fill(b, &mut right)?);
        *read += (n + m) as u64;
        if left[..n] != right[..m] {
            return Ok(false);
        }
        if n < PIECE {
            return Ok(true);
        }
    }
}

/// Fills the buffer unless the file ends first.
fn fill(file: &File, buffer: &mut [u8]) -> Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read_some(&mut buffer[have..])? {
            0 => break,
            n => have += n,
        }
    }
    Ok(have)
}
