use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::EntryName;
use trefoil_fsat::{Dir, DirEntry, FileKind, FsError};

use super::import::{Import, ImportStats, named};
use super::modifier::{CommitModifier, TreePath};
use crate::deep::{FEW, SHALLOW};
use crate::mutable_tree::check_depth;
use crate::{MutableTree, Repo, RepoError, Result, Transaction};

/// Brings `tree`, made of the commit before, up to date with `dir` at the paths `changes` and
/// looks at nothing else: the cost is that of the paths and the directories above them.
///
/// Paths are relative to `dir`; a leading `/` or `./` and a `/` at the end are allowed, and
/// `/` or `.` is everything.
/// What is there is imported, a directory with all beneath it; what is not there is removed
/// from `tree`. Of the directories above a path only their own metadata is taken anew. One that
/// is no directory any more is imported as what it is, or removed, and one that is not yet in
/// `tree` gets only what was told.
///
/// The result is that of [`import_dir`](super::import_dir) into an empty tree if every path
/// that differs was told (of a file with hard links, every name) and `modifier` is that of the
/// commit before. Its lists of paths work, but what of them was not met tells nothing here:
/// [`CommitModifier::unmatched_overrides`] and [`CommitModifier::unmatched_skips`] are not to
/// be asked. After an error `tree` is not to be used.
///
/// # Errors
/// [`RepoError::Refused`] for a path with empty components, `.` or `..` in it, and for
/// `consume` and `whiteouts`, which want a whole directory.
pub fn import_changes(
    transaction: &Transaction<'_>,
    dir: &Dir,
    tree: &mut MutableTree,
    changes: &[impl AsRef<str>],
    modifier: &CommitModifier,
) -> Result<ImportStats> {
    if modifier.consume || modifier.whiteouts {
        let text = "consume and whiteouts want whole directories, not paths that changed";
        return Err(RepoError::Refused(text.to_string()));
    }
    let root = ToldPaths::of(changes)?;
    import_told(Import::new(transaction, modifier), dir, tree, &root)
}

/// What [`import_changes`] does, with an import of the caller's.
pub(super) fn import_told(
    import: Import<'_>,
    dir: &Dir,
    tree: &mut MutableTree,
    root: &ToldPaths,
) -> Result<ImportStats> {
    let alone = root.is_small(0, &mut 0);
    let told = Told { import, alone };
    if root.whole {
        *tree = MutableTree::new();
        told.import.directory(dir, tree, &TreePath::ROOT)?;
    } else if !root.is_empty() {
        let mut work = || told.directory(dir, root, tree, &TreePath::ROOT);
        if alone { work()? } else { told.import.on_cores(work)? }
    }
    Ok(told.import.stats())
}

/// Removes `paths` from `tree` (`--delete-from`), directories with all beneath them. They are
/// written as for [`import_changes`], and their order does not matter.
///
/// # Errors
/// [`RepoError::PathNotFound`] for a path that is not there; then nothing was removed.
pub fn delete_paths(repo: &Repo, tree: &mut MutableTree, paths: &[impl AsRef<str>]) -> Result<()> {
    let mut split = Vec::with_capacity(paths.len());
    for path in paths {
        let path = path.as_ref();
        let names = components(path)?;
        let missing = || RepoError::PathNotFound { path: path.to_string() };
        let (last, above) = names.split_last().ok_or_else(|| {
            RepoError::Refused(format!("Invalid path '{path}': the root cannot be removed"))
        })?;
        let parent = descend(repo, tree, above)?.ok_or_else(missing)?;
        if parent.file(repo, last)?.is_none() && parent.dir(repo, last)?.is_none() {
            return Err(missing());
        }
        split.push(names);
    }
    for names in split {
        // The last name exists: `components` was not empty. Where its parent is gone, so is it.
        if let Some((last, above)) = names.split_last()
            && let Some(parent) = descend(repo, tree, above)?
        {
            parent.remove(repo, last)?;
        }
    }
    Ok(())
}

fn descend<'t>(
    repo: &Repo,
    mut tree: &'t mut MutableTree,
    names: &[EntryName],
) -> Result<Option<&'t mut MutableTree>> {
    for name in names {
        match tree.dir(repo, name)? {
            Some(dir) => tree = dir,
            None => return Ok(None),
        }
    }
    Ok(Some(tree))
}

/// How many of these paths would be looked at; `None` where one is refused: for the fuzz targets.
pub(crate) fn count(paths: &[&str]) -> Option<u64> {
    ToldPaths::of(paths).ok().map(|told| told.ends())
}

/// Told paths as a tree: sorted, none twice, none below one that is told itself.
#[derive(Debug, Default)]
pub(super) struct ToldPaths {
    /// Told itself: with all beneath it.
    whole: bool,
    /// The metadata of the directory itself was told.
    itself: bool,
    children: BTreeMap<EntryName, ToldPaths>,
}

impl ToldPaths {
    fn of(paths: &[impl AsRef<str>]) -> Result<Self> {
        let mut root = ToldPaths::default();
        for path in paths {
            root.tell(path.as_ref())?;
        }
        Ok(root)
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        !self.whole && !self.itself && self.children.is_empty()
    }

    /// Adds a path, with all beneath it.
    pub fn tell(&mut self, path: &str) -> Result<()> {
        if let Some(at) = self.insert(components(path)?) {
            at.whole = true;
            at.children.clear();
        }
        Ok(())
    }

    /// Adds a directory without what is beneath it. One that is none any more is taken as what
    /// it is.
    pub fn tell_itself(&mut self, path: &str) -> Result<()> {
        if let Some(at) = self.insert(components(path)?) {
            at.itself = true;
        }
        Ok(())
    }

    /// Whether little was told, none of it deep down. `count` is that of what was told before.
    fn is_small(&self, depth: usize, count: &mut usize) -> bool {
        *count += 1;
        let mut children = self.children.values();
        *count < FEW && depth < SHALLOW && children.all(|told| told.is_small(depth + 1, count))
    }

    /// How many told paths there are at and beneath this one.
    fn ends(&self) -> u64 {
        let beneath: u64 = self.children.values().map(ToldPaths::ends).sum();
        u64::from(self.whole || self.itself) + beneath
    }

    /// The place of a path; `None` where it is covered already.
    fn insert(&mut self, names: Vec<EntryName>) -> Option<&mut ToldPaths> {
        let mut at = self;
        for name in names {
            if at.whole {
                return None;
            }
            at = at.children.entry(name).or_default();
        }
        Some(at)
    }
}

/// The names in a path; none for the root.
fn components(path: &str) -> Result<Vec<EntryName>> {
    let relative = path.strip_prefix("./").or_else(|| path.strip_prefix('/')).unwrap_or(path);
    if relative == "." || (relative.is_empty() && !path.is_empty()) {
        return Ok(Vec::new());
    }
    let what = || format!("Invalid path '{}'", path.escape_debug());
    let mut names = Vec::new();
    // Directories are often listed with a slash at their end.
    for name in relative.strip_suffix('/').unwrap_or(relative).split('/') {
        names.push(EntryName::new(name).map_err(|e| RepoError::format(what(), e))?);
    }
    check_depth(names.len() - 1).map_err(|e| RepoError::Refused(format!("{}: {e}", what())))?;
    Ok(names)
}

/// What is on disk where something was told.
enum Found {
    File(Checksum),
    Dir(MutableTree),
}

struct Told<'a> {
    import: Import<'a>,
    /// Without other threads.
    alone: bool,
}

impl Told<'_> {
    /// Brings a directory with told paths beneath it up to date.
    fn directory(
        &self,
        dir: &Dir,
        told: &ToldPaths,
        tree: &mut MutableTree,
        path: &TreePath<'_>,
    ) -> Result<()> {
        if !self.import.metadata(dir, tree, path)? {
            // Only the root: of others their parent was asked. It is left out with everything.
            *tree = MutableTree::new();
            return Ok(());
        }
        let repo = self.import.transaction.repo();
        let mut work = Vec::with_capacity(told.children.len());
        for (name, told) in &told.children {
            let known = tree.file(repo, name)?.is_some();
            let old = tree.take(repo, name)?;
            if !known && old.is_none() && !dir.exists(name.as_str())? {
                self.import.tally.unknown.fetch_add(told.ends(), Relaxed);
            }
            work.push((name, told, old));
        }
        let look = |(name, told, old)| self.entry(dir, name, told, old, path);
        let found = match self.alone {
            true => work.into_iter().map(look).collect::<Result<Vec<_>>>()?,
            false => work.into_par_iter().map(look).collect::<Result<Vec<_>>>()?,
        };
        for (name, found) in told.children.keys().zip(found) {
            match found {
                None => {}
                Some(Found::File(checksum)) => tree.replace_file(repo, name.clone(), checksum)?,
                Some(Found::Dir(child)) => *tree.ensure_dir(repo, name)? = child,
            }
        }
        Ok(())
    }

    /// What becomes of one name; `old` is the directory that had it in the tree.
    fn entry(
        &self,
        dir: &Dir,
        name: &EntryName,
        told: &ToldPaths,
        old: Option<MutableTree>,
        parent: &TreePath<'_>,
    ) -> Result<Option<Found>> {
        let path = parent.child(name.as_str());
        if !told.whole
            && let Some(sub) = open_above(dir, name)?
        {
            if !self.import.enters(&path) {
                return Ok(None);
            }
            let mut tree = old.unwrap_or_default();
            self.directory(&sub, told, &mut tree, &path)?;
            return Ok(Some(Found::Dir(tree)));
        }
        let Some(stat) = dir.stat_opt(name.as_str())? else { return Ok(None) };
        let entry = named(
            &DirEntry { name: name.as_str().into(), kind: stat.kind(), ino: stat.ino },
            parent,
        )?;
        if entry.kind != FileKind::Directory {
            let file = self.import.file(dir, &entry, parent)?;
            return Ok(file.map(|(_, checksum)| Found::File(checksum)));
        }
        if !self.import.enters(&path) {
            return Ok(None);
        }
        let mut tree = MutableTree::new();
        self.import.directory(&dir.open_dir(name.as_str())?, &mut tree, &path)?;
        Ok(Some(Found::Dir(tree)))
    }
}

/// Opens a directory above told paths without asking first what it is. `None` where it is
/// none, or may not be opened, which does not matter if it is left out: the caller looks.
fn open_above(dir: &Dir, name: &EntryName) -> Result<Option<Dir>> {
    let to_be_looked_at =
        |e: &FsError| e.is_not_found() || e.is_not_directory() || e.is_permission();
    match dir.open_dir(name.as_str()) {
        Err(e) if to_be_looked_at(&e) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}
