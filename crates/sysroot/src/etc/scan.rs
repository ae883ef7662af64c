use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, Stat};

use super::Result;
use super::index::{Entry, EtcIndex, Relation};

/// An `etc` held against its index: what is not as it was sealed. One stat for each entry;
/// only directories that changed are opened.
#[derive(Debug, Default)]
pub struct Scan {
    /// Entries that are as sealed and not plain copies of a default.
    pub(crate) own: Vec<(PathBuf, Entry, Stat)>,
    /// Directories as sealed that are plain copies of a default.
    pub(crate) default_dirs: Vec<(PathBuf, Checksum)>,
    /// No longer what the index says, missing ones included. For a directory that is no longer
    /// one this stands for all below it.
    pub(crate) changed: Vec<(PathBuf, Option<Stat>)>,
    /// Directories that are still directories but not as sealed.
    pub(crate) dirs: Vec<(PathBuf, Stat)>,
    /// Names in those directories that the index does not have.
    pub(crate) appeared: Vec<PathBuf>,
    /// How many entries were statted.
    pub(crate) stats: u64,
}

impl Scan {
    /// Compares `etc` with the index made for it. `None` where it is another directory than
    /// the one the index was made for.
    pub fn of(index: &EtcIndex, etc: &Dir) -> Result<Option<Scan>> {
        Scan::of_but(index, etc, false)
    }

    /// As [`Scan::of`], but believes symbolic links in directories that are as sealed. Nobody
    /// can write to a link, and replacing one changes its directory; only a new owner goes
    /// unseen. Two thirds of a usual `etc` are links.
    pub fn of_believing_links(index: &EtcIndex, etc: &Dir) -> Result<Option<Scan>> {
        Scan::of_but(index, etc, true)
    }

    fn of_but(index: &EtcIndex, etc: &Dir, believe_links: bool) -> Result<Option<Scan>> {
        let root = etc.stat_self()?;
        match index.entries.get(Path::new("")) {
            Some(entry) if entry.stamp.ino == root.ino => {}
            _ => return Ok(None),
        }
        let mut scan = Scan::default();
        scan.stat_all(index, etc, &root, believe_links)?;
        scan.list_changed_dirs(index, etc)?;
        Ok(Some(scan))
    }

    /// What cannot be believed even where nobody wrote since: entries that changed in the tick
    /// of the clock in which they were sealed. Looks at nothing else.
    pub(crate) fn of_racy(index: &EtcIndex, etc: &Dir) -> Result<Scan> {
        let mut scan = Scan::default();
        for (path, entry) in &index.entries {
            if entry.stamp.ctime < index.sealed {
                continue;
            }
            match stat_opt(etc, path)? {
                Some(stat) if stat.is_dir() && entry.is_dir() => {
                    scan.dirs.push((path.clone(), stat));
                }
                now => scan.changed.push((path.clone(), now)),
            }
            scan.stats += 1;
        }
        scan.list_changed_dirs(index, etc)?;
        Ok(scan)
    }

    /// Whether everything is as it was sealed.
    pub fn is_clean(&self) -> bool {
        self.changed.is_empty() && self.dirs.is_empty()
    }

    /// Every path that is not as it was sealed, for a message.
    pub fn differing(&self) -> impl Iterator<Item = &Path> {
        let changed = self.changed.iter().map(|(path, _)| path);
        let dirs = self.dirs.iter().map(|(path, _)| path);
        changed.chain(dirs).chain(&self.appeared).map(PathBuf::as_path)
    }

    fn stat_all(
        &mut self,
        index: &EtcIndex,
        etc: &Dir,
        root: &Stat,
        believe_links: bool,
    ) -> Result<()> {
        let mut cut: Option<&Path> = None;
        let mut changed_dirs: HashSet<&Path> = HashSet::new();
        for (path, entry) in &index.entries {
            if cut.is_some_and(|top| path.starts_with(top)) {
                continue;
            }
            let settled = entry.relation == Relation::Default && entry.stamp.ctime < index.sealed;
            let in_sealed = || {
                changed_dirs.is_empty()
                    || path.parent().is_some_and(|dir| !changed_dirs.contains(dir))
            };
            if believe_links && settled && entry.is_symlink() && in_sealed() {
                continue;
            }
            self.stats += 1;
            let now = if path.as_os_str().is_empty() { Some(*root) } else { stat_opt(etc, path)? };
            match now {
                Some(stat) if stat.dev == root.dev && index.believes(entry, &stat) => {
                    if entry.relation != Relation::Default {
                        self.own.push((path.clone(), *entry, stat));
                    } else if entry.is_dir() {
                        self.default_dirs.push((path.clone(), entry.id));
                    }
                }
                Some(stat) if stat.is_dir() && entry.is_dir() => {
                    if entry.relation == Relation::Replaced {
                        self.own.push((path.clone(), *entry, stat));
                    }
                    self.dirs.push((path.clone(), stat));
                    changed_dirs.insert(path);
                }
                now => {
                    cut = Some(path);
                    self.changed.push((path.clone(), now));
                }
            }
        }
        Ok(())
    }

    fn list_changed_dirs(&mut self, index: &EtcIndex, etc: &Dir) -> Result<()> {
        for (path, _) in &self.dirs {
            if index.entries.get(path).is_some_and(|e| e.relation == Relation::Replaced) {
                continue;
            }
            for entry in open(etc, path)?.entries()? {
                let child = path.join(entry.name);
                if !index.entries.contains_key(&child) {
                    self.appeared.push(child);
                }
            }
        }
        Ok(())
    }

    /// Everything here that an earlier state of the tree cannot answer for.
    pub(crate) fn suspects(&self) -> BTreeSet<PathBuf> {
        self.differing().map(Path::to_path_buf).collect()
    }
}

/// The directory `path` below `root`, which may be `root` itself.
pub(crate) fn open(root: &Dir, path: &Path) -> Result<Dir> {
    if path.as_os_str().is_empty() {
        return Ok(root.open_dir(".")?);
    }
    Ok(root.open_dir(path)?)
}

/// As [`Dir::stat_opt`], `None` also where something above is not a directory.
pub(crate) fn stat_opt(root: &Dir, path: &Path) -> Result<Option<Stat>> {
    if path.as_os_str().is_empty() {
        return Ok(Some(root.stat_self()?));
    }
    match root.stat(path) {
        Ok(stat) => Ok(Some(stat)),
        Err(e) if e.is_not_found() || e.is_not_directory() => Ok(None),
        Err(e) => Err(e.into()),
    }
}
