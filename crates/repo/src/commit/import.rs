use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::file::FileHeader;
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Dir, DirEntry, FileKind, Stat};

use super::links::LinkNotes;
use super::modifier::{Attributes, CommitModifier, TreePath};
use crate::deep::{FEW, SHALLOW, on_deep_stacks};
use crate::mutable_tree::check_depth;
use crate::{MutableTree, RepoError, RepoMode, Result, Transaction};

/// What an import looked at. What it wrote is in
/// [`TransactionStats`](crate::TransactionStats).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportStats {
    /// Directories, the root among them.
    pub dirs: u64,
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Files and links known by device and inode, which were not read.
    pub devino_hits: u64,
    /// Files and links that are as the index has them, which were not read.
    pub index_hits: u64,
    /// Files moved into the repository instead of copied.
    pub adopted: u64,
    /// Names left out by the skip list.
    pub skipped: u64,
    /// Told paths that are neither there nor were in the tree before.
    pub unknown: u64,
}

impl std::ops::AddAssign for ImportStats {
    fn add_assign(&mut self, other: Self) {
        self.dirs += other.dirs;
        self.files += other.files;
        self.symlinks += other.symlinks;
        self.devino_hits += other.devino_hits;
        self.index_hits += other.index_hits;
        self.adopted += other.adopted;
        self.skipped += other.skipped;
        self.unknown += other.unknown;
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub dirs: AtomicU64,
    pub files: AtomicU64,
    pub symlinks: AtomicU64,
    pub devino_hits: AtomicU64,
    index_hits: AtomicU64,
    pub adopted: AtomicU64,
    skipped: AtomicU64,
    pub unknown: AtomicU64,
    /// Work done: entries, and as many for each piece of [`PIECE`] bytes.
    pub work: AtomicUsize,
}

/// What takes as long to hash as an entry takes otherwise, in bytes.
const PIECE: u64 = 64 * 1024;

/// Writes every file beneath `dir` as an object and lays the directory over `tree`, on all
/// cores once there turns out to be enough for them.
///
/// No symbolic link is followed. Names and targets of links that are not UTF-8 are refused,
/// as are devices, pipes and sockets. A file that changes while it is read is an error, never
/// a wrong object. With [`CommitModifier::consume`] the content of `dir` is gone afterwards,
/// and part of it after an error.
pub fn import_dir(
    transaction: &Transaction<'_>,
    dir: &Dir,
    tree: &mut MutableTree,
    modifier: &CommitModifier,
) -> Result<ImportStats> {
    let import = Import::new(transaction, modifier);
    import.directory(dir, tree, &TreePath::ROOT)?;
    Ok(import.stats())
}

pub(super) struct Import<'a> {
    pub transaction: &'a Transaction<'a>,
    pub modifier: &'a CommitModifier,
    pub mode: RepoMode,
    pub drops_xattrs: bool,
    pub tally: Tally,
    /// On threads of its own, all cores at work.
    spreads: AtomicBool,
    /// Where names of files that have several are noted, if somebody wants to know.
    pub links: Option<&'a LinkNotes>,
}

/// An entry whose name was checked.
pub(super) struct Named {
    pub name: EntryName,
    pub kind: FileKind,
}

impl<'a> Import<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, modifier: &'a CommitModifier) -> Self {
        let mode = transaction.repo().mode();
        let drops_xattrs = modifier.drops_xattrs(mode);
        let tally = Tally::default();
        let spreads = AtomicBool::new(false);
        Import { transaction, modifier, mode, drops_xattrs, tally, spreads, links: None }
    }

    /// Notes the names of files that have several.
    pub(super) fn noting(self, links: &'a LinkNotes) -> Self {
        Import { links: Some(links), ..self }
    }
}

impl Import<'_> {
    pub(super) fn directory(
        &self,
        dir: &Dir,
        tree: &mut MutableTree,
        path: &TreePath<'_>,
    ) -> Result<()> {
        if !self.metadata(dir, tree, path)? {
            return Ok(());
        }
        let (dirs, files): (Vec<Named>, Vec<Named>) = dir
            .entries()?
            .iter()
            .map(|entry| named(entry, path))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .partition(|entry| entry.kind == FileKind::Directory);
        let repo = self.transaction.repo();
        let files = match self.modifier.whiteouts {
            true => self.whiteouts(dir, files, tree, path)?,
            false => files,
        };
        let dirs = self.enter_dirs(dir, dirs, tree, path)?;
        for (file, checksum) in self.content(dir, &files, &dirs, tree, path)? {
            tree.replace_file(repo, file, checksum)?;
        }
        Ok(())
    }

    /// Imports what is in a directory; gives its files.
    fn content(
        &self,
        dir: &Dir,
        files: &[Named],
        dirs: &[EntryName],
        tree: &mut MutableTree,
        path: &TreePath<'_>,
    ) -> Result<Vec<(EntryName, Checksum)>> {
        let children = tree.dirs_mut(self.transaction.repo())?;
        let mut children =
            children.into_iter().filter(|(name, _)| dirs.binary_search(name).is_ok());
        let mut done = Vec::with_capacity(files.len());
        while done.len() < files.len() && self.is_alone(path) {
            done.push(self.file(dir, &files[done.len()], path)?);
        }
        let files = &files[done.len()..];
        while files.is_empty() && self.is_alone(path) {
            let Some(child) = children.next() else { break };
            self.child(dir, child, path)?;
        }
        let children: Vec<_> = children.collect();
        if !files.is_empty() || !children.is_empty() {
            done.extend(self.on_cores(|| self.spread(dir, files, children, path))?);
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// Whether to go on with the calling thread only: until the work proves to be much or lies
    /// deep down.
    fn is_alone(&self, path: &TreePath<'_>) -> bool {
        let few = self.tally.work.load(Relaxed) < FEW;
        few && path.depth() < SHALLOW && !self.spreads.load(Relaxed)
    }

    /// Runs `work` on threads with deep stacks, which it may be on already.
    pub(super) fn on_cores<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self.spreads.swap(true, Relaxed) {
            return work();
        }
        let done = on_deep_stacks(work);
        self.spreads.store(false, Relaxed);
        done
    }

    pub(super) fn note_work(&self, bytes: u64) {
        self.tally.work.fetch_add(1 + (bytes / PIECE) as usize, Relaxed);
    }

    fn spread(
        &self,
        dir: &Dir,
        files: &[Named],
        children: Vec<(&EntryName, &mut MutableTree)>,
        path: &TreePath<'_>,
    ) -> Result<Vec<Option<(EntryName, Checksum)>>> {
        let (files, done) = rayon::join(
            || files.par_iter().map(|f| self.file(dir, f, path)).collect::<Result<Vec<_>>>(),
            || children.into_par_iter().try_for_each(|child| self.child(dir, child, path)),
        );
        done?;
        files
    }

    fn child(
        &self,
        dir: &Dir,
        (name, tree): (&EntryName, &mut MutableTree),
        path: &TreePath<'_>,
    ) -> Result<()> {
        let name = name.as_str();
        self.directory(&dir.open_dir(name)?, tree, &path.child(name))?;
        if self.consumes() {
            dir.rmdir(name)?;
        }
        Ok(())
    }

    /// Whether what was imported goes. Nothing does in a rehearsal.
    pub(super) fn consumes(&self) -> bool {
        self.modifier.consume && !self.transaction.is_rehearsal()
    }

    /// Gives `tree` the metadata of the directory; false where it is left out.
    pub(super) fn metadata(
        &self,
        dir: &Dir,
        tree: &mut MutableTree,
        path: &TreePath<'_>,
    ) -> Result<bool> {
        check_depth(path.depth())?;
        let Some(attributes) = self.apply(path, Attributes::of(&dir.stat_self()?)) else {
            return Ok(false);
        };
        let xattrs = if self.drops_xattrs { Vec::new() } else { dir.xattrs()? };
        tree.set_metadata(self.write_meta(attributes, Xattrs::of_inode(xattrs))?);
        self.tally.dirs.fetch_add(1, Relaxed);
        self.note_work(0);
        Ok(true)
    }

    /// Whether the directory at `path` is looked into, asked before it is opened: libostree
    /// asks here and again for the directory itself; see `StatOverrides`.
    pub(super) fn enters(&self, path: &TreePath<'_>) -> bool {
        self.apply(path, Attributes { uid: 0, gid: 0, mode: 0o040_000 }).is_some()
    }

    /// Makes the subdirectories in `tree` that are not left out.
    fn enter_dirs(
        &self,
        dir: &Dir,
        dirs: Vec<Named>,
        tree: &mut MutableTree,
        path: &TreePath<'_>,
    ) -> Result<Vec<EntryName>> {
        let mut entered = Vec::with_capacity(dirs.len());
        for Named { name, .. } in dirs {
            if !self.enters(&path.child(name.as_str())) {
                if self.consumes() {
                    dir.remove_all(name.as_str())?;
                }
                continue;
            }
            tree.ensure_dir(self.transaction.repo(), &name)?;
            entered.push(name);
        }
        entered.sort_unstable();
        Ok(entered)
    }

    pub(super) fn apply(&self, path: &TreePath<'_>, old: Attributes) -> Option<Attributes> {
        let new = self.modifier.apply(self.mode, path, old);
        if new.is_none() {
            self.tally.skipped.fetch_add(1, Relaxed);
        }
        new
    }

    pub(super) fn write_meta(&self, attributes: Attributes, xattrs: Xattrs) -> Result<Checksum> {
        let Attributes { uid, gid, mode } = attributes;
        let bytes = DirMeta { uid, gid, mode, xattrs }.to_bytes();
        self.transaction.write_metadata(ObjectType::DirMeta, &bytes)
    }

    pub(super) fn note_link(&self, stat: &Stat, path: &TreePath<'_>) {
        if let Some(links) = self.links.filter(|_| stat.nlink > 1) {
            links.note(stat, path);
        }
    }

    pub(super) fn note_index_hits(&self, files: u64) {
        self.tally.index_hits.fetch_add(files, Relaxed);
        self.transaction.note_index_hits(files);
    }

    pub(super) fn stats(&self) -> ImportStats {
        ImportStats {
            dirs: self.tally.dirs.load(Relaxed),
            files: self.tally.files.load(Relaxed),
            symlinks: self.tally.symlinks.load(Relaxed),
            devino_hits: self.tally.devino_hits.load(Relaxed),
            index_hits: self.tally.index_hits.load(Relaxed),
            adopted: self.tally.adopted.load(Relaxed),
            skipped: self.tally.skipped.load(Relaxed),
            unknown: self.tally.unknown.load(Relaxed),
        }
    }
}

impl Attributes {
    pub(super) fn of(stat: &Stat) -> Self {
        Attributes { uid: stat.uid, gid: stat.gid, mode: stat.mode }
    }

    pub(super) fn header(self, symlink_target: Option<String>, xattrs: Xattrs) -> FileHeader {
        FileHeader { uid: self.uid, gid: self.gid, mode: self.mode, symlink_target, xattrs }
    }
}

pub(super) fn named(entry: &DirEntry, parent: &TreePath<'_>) -> Result<Named> {
    let Some(name) = entry.name.to_str() else {
        let name = entry.name.to_string_lossy();
        return Err(RepoError::Refused(format!(
            "Invalid UTF-8 in filename {}",
            parent.child(&name)
        )));
    };
    if !matches!(entry.kind, FileKind::Directory | FileKind::Regular | FileKind::Symlink) {
        return Err(RepoError::Refused(format!(
            "Not a regular file or symlink: {} is a {}",
            parent.child(name),
            entry.kind.word()
        )));
    }
    let name = EntryName::new(name)
        .map_err(|e| RepoError::format(format!("name of {}", parent.child(name)), e))?;
    Ok(Named { name, kind: entry.kind })
}
