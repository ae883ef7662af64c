//! Turning the checkout of one tree into that of another, at the cost of the difference.

use std::collections::BTreeMap;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, FileKind, Removed, Stat, Timestamp};

use super::{Checkout, CheckoutMode, CheckoutOptions, CheckoutStats, Overwrite, temp_name};
use crate::diff::{ChangeKind, DiffStats, diff_trees};
use crate::{Repo, RepoError, RepoMode, Result, TreeId};

/// Below this many changed directories one thread is as fast.
const PARALLEL_FROM: usize = 64;

/// What has to be done in a checkout of one tree so that it becomes that of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConvertPlan {
    dirs: BTreeMap<String, DirWork>,
    /// What the comparison cost.
    pub diff: DiffStats,
    /// Files and symbolic links to make or replace in directories that both trees have.
    pub files: u64,
    /// Files and symbolic links to remove from directories that both trees have.
    pub removed_files: u64,
    /// Directories whose metadata changes.
    pub metas: u64,
    /// Whole directories to make.
    pub added_dirs: Vec<TreeId>,
    /// Whole directories to remove.
    pub removed_dirs: Vec<TreeId>,
    /// Why the plan cannot be carried out, if so.
    pub obstacle: Option<String>,
}

/// What to do in one directory that both trees have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DirWork {
    meta: Option<(Checksum, Checksum)>,
    entries: Vec<(String, Change)>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Change {
    AddFile(Checksum),
    ReplaceFile(Checksum),
    RemoveFile,
    AddDir(TreeId),
    RemoveDir,
    FileToDir(TreeId),
    DirToFile(Checksum),
}

/// What a conversion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConvertStats {
    /// What was made, as in a checkout.
    pub made: CheckoutStats,
    /// What was removed; a replaced file counts as made only.
    pub removed: (u64, u64),
    /// Directories that both trees have and that were changed.
    pub dirs_changed: u64,
    /// Every directory that was changed or made, with its state afterwards; the root is `""`.
    pub touched: Vec<(String, Stat)>,
    /// Directories that were removed, with all beneath them.
    pub gone: Vec<String>,
}

impl ConvertPlan {
    /// Compares two trees and notes what to do. Costs what changed.
    pub fn new(repo: &Repo, old: TreeId, new: TreeId) -> Result<ConvertPlan> {
        let mut plan = ConvertPlan::default();
        let diff = diff_trees(repo, old, new, &mut |change| plan.note(change.path, change.kind))?;
        plan.diff = diff;
        Ok(plan)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    fn note(&mut self, path: &str, kind: ChangeKind) {
        let path = path.trim_start_matches('/');
        if let ChangeKind::DirMetaChanged { old, new } = kind {
            self.metas += 1;
            self.dirs.entry(path.to_string()).or_default().meta = Some((old, new));
            return;
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        // A whiteout lies in a checkout under another name than in the tree.
        if name.starts_with(".ostree-wh.") {
            self.obstacle = Some(format!("the whiteout /{path} changes"));
        }
        let change = match kind {
            ChangeKind::FileAdded { new } => Change::AddFile(new),
            ChangeKind::FileChanged { new, .. } => Change::ReplaceFile(new),
            ChangeKind::FileRemoved { .. } => Change::RemoveFile,
            ChangeKind::DirAdded { new } => Change::AddDir(new),
            ChangeKind::DirRemoved { .. } => Change::RemoveDir,
            ChangeKind::FileToDir { new, .. } => Change::FileToDir(new),
            ChangeKind::DirToFile { new, .. } => Change::DirToFile(new),
            ChangeKind::DirMetaChanged { .. } => return,
        };
        self.tally(kind);
        let work = self.dirs.entry(parent.to_string()).or_default();
        work.entries.push((name.to_string(), change));
    }

    fn tally(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::FileAdded { .. } | ChangeKind::FileChanged { .. } => self.files += 1,
            ChangeKind::FileRemoved { .. } => self.removed_files += 1,
            ChangeKind::DirAdded { new } => self.added_dirs.push(new),
            ChangeKind::DirRemoved { old } => self.removed_dirs.push(old),
            ChangeKind::FileToDir { new, .. } => {
                self.removed_files += 1;
                self.added_dirs.push(new);
            }
            ChangeKind::DirToFile { old, .. } => {
                self.files += 1;
                self.removed_dirs.push(old);
            }
            ChangeKind::DirMetaChanged { .. } => {}
        }
    }

    /// Carries the plan out in `root`, a checkout of the old tree made with the same `options`.
    ///
    /// A file is linked under a temporary name and renamed over the old one; no file that may
    /// be shared with the repository is written to or has its metadata changed. Directories
    /// are never shared and are changed in place. Nothing is synced. After an error, or if the
    /// process dies, the tree is neither the old nor the new one: throw it away.
    ///
    /// # Errors
    /// The plan's obstacle; an entry that is not as the old tree has it; a missing object; the
    /// file system.
    pub fn apply(
        &self,
        repo: &Repo,
        options: &CheckoutOptions,
        root: &Dir,
    ) -> Result<ConvertStats> {
        if let Some(obstacle) = &self.obstacle {
            return Err(RepoError::Refused(obstacle.clone()));
        }
        let options = CheckoutOptions { overwrite: Overwrite::UnionFiles, ..options.clone() };
        let checkout = Checkout::new(repo, &options)?;
        let one = |(path, work): (&String, &DirWork)| checkout.work(root, path, work);
        if self.dirs.len() < PARALLEL_FROM {
            return self
                .dirs
                .iter()
                .map(one)
                .try_fold(ConvertStats::default(), |all, step| Ok(all.joined(step?)));
        }
        let dirs: Vec<_> = self.dirs.iter().collect();
        dirs.into_par_iter().map(one).try_reduce(ConvertStats::default, |a, b| Ok(a.joined(b)))
    }
}

impl ConvertStats {
    fn joined(mut self, other: ConvertStats) -> ConvertStats {
        self.made += other.made;
        self.removed.0 += other.removed.0;
        self.removed.1 += other.removed.1;
        self.dirs_changed += other.dirs_changed;
        self.touched.extend(other.touched);
        self.gone.extend(other.gone);
        self
    }

    fn count_removed(&mut self, removed: Removed) {
        self.removed.0 += removed.dirs;
        self.removed.1 += removed.files;
    }
}

impl Checkout<'_> {
    fn work(&self, root: &Dir, path: &str, work: &DirWork) -> Result<ConvertStats> {
        let opened;
        let dir = match path {
            "" => root,
            path => {
                opened = root.open_dir(path)?;
                &opened
            }
        };
        let mut stats = ConvertStats { dirs_changed: 1, ..ConvertStats::default() };
        for (name, change) in &work.entries {
            self.change(dir, path, name, *change, &mut stats)?;
        }
        if let Some((old, new)) = &work.meta {
            self.change_meta(dir, old, new)?;
        }
        if !self.options.force_copy {
            dir.set_mtime(Timestamp::default())?;
        }
        stats.touched.push((path.to_string(), dir.stat_self()?));
        Ok(stats)
    }

    fn change(
        &self,
        dir: &Dir,
        path: &str,
        name: &str,
        change: Change,
        stats: &mut ConvertStats,
    ) -> Result<()> {
        let below = || if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
        match change {
            Change::AddFile(new) => self.file(dir, true, name, &new, &mut stats.made),
            Change::ReplaceFile(new) => self.replace(dir, name, &new, stats),
            Change::RemoveFile => {
                dir.unlink(name)?;
                stats.removed.1 += 1;
                Ok(())
            }
            Change::AddDir(new) => self.add_dir(dir, below(), name, new, stats),
            Change::RemoveDir => {
                stats.count_removed(dir.remove_all(name)?);
                stats.gone.push(below());
                Ok(())
            }
            Change::FileToDir(new) => {
                dir.unlink(name)?;
                stats.removed.1 += 1;
                self.add_dir(dir, below(), name, new, stats)
            }
            Change::DirToFile(new) => {
                stats.count_removed(dir.remove_all(name)?);
                stats.gone.push(below());
                self.file(dir, true, name, &new, &mut stats.made)
            }
        }
    }

    /// A link to the new object under another name, renamed over the old file. Where the
    /// object cannot be linked the checkout's own way of replacing does it.
    fn replace(
        &self,
        dir: &Dir,
        name: &str,
        new: &Checksum,
        stats: &mut ConvertStats,
    ) -> Result<()> {
        if !self.links_any_file() {
            return self.file(dir, false, name, new, &mut stats.made);
        }
        let path = self.repo.object_path(&ObjectName::new(*new, ObjectType::File));
        let source = self.repo.objects().stat_opt(&*path)?;
        let linkable = source.is_some_and(|stat| stat.is_symlink() || stat.size > 0);
        let temp = temp_name();
        if !linkable || self.repo.objects().link(&*path, dir, &temp).is_err() {
            return self.file(dir, false, name, new, &mut stats.made);
        }
        dir.rename(&temp, dir, name)?;
        stats.made.links += 1;
        Ok(())
    }

    /// Whether every file but empty ones becomes a hard link, by its mode alone.
    fn links_any_file(&self) -> bool {
        self.mode == CheckoutMode::None
            && self.repo.mode() == RepoMode::Bare
            && !self.options.force_copy
    }

    fn add_dir(
        &self,
        dir: &Dir,
        path: String,
        name: &str,
        new: TreeId,
        stats: &mut ConvertStats,
    ) -> Result<()> {
        stats.made += self.root(dir, name, new)?;
        collect(&dir.open_dir(name)?, path, &mut stats.touched)
    }

    /// Changes owner, mode and attributes of a directory in place.
    fn change_meta(&self, dir: &Dir, old: &Checksum, new: &Checksum) -> Result<()> {
        let (old, new) = (self.dirmeta(old)?, self.dirmeta(new)?);
        if self.keeps_owner() {
            for (name, _) in old.xattrs.iter().filter(|(name, _)| new.xattrs.get(name).is_none()) {
                dir.remove_xattr(name)?;
            }
            for (name, value) in new.xattrs.iter() {
                dir.set_xattr(name, value)?;
            }
        }
        self.finish(dir, &new)
    }
}

/// How many entries a tree has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeCount {
    /// Files and symbolic links.
    pub files: u64,
    /// Directories, the root among them.
    pub dirs: u64,
}

impl Repo {
    /// Counts the entries of a tree: reads every directory of it.
    pub fn count_tree(&self, tree: TreeId) -> Result<TreeCount> {
        let dirtree = self.load_dirtree(&tree.tree)?;
        let mut count = TreeCount { files: dirtree.files.len() as u64, dirs: 1 };
        for dir in &dirtree.dirs {
            let below = self.count_tree(TreeId { tree: dir.tree, meta: dir.meta })?;
            count.files += below.files;
            count.dirs += below.dirs;
        }
        Ok(count)
    }
}

/// Notes the state of `dir` and of every directory beneath it.
pub fn collect_dirs(dir: &Dir) -> Result<Vec<(String, Stat)>> {
    let mut found = Vec::new();
    collect(dir, String::new(), &mut found)?;
    Ok(found)
}

fn collect(dir: &Dir, path: String, found: &mut Vec<(String, Stat)>) -> Result<()> {
    let subdirs = dir.entries()?.into_iter().filter(|entry| entry.kind == FileKind::Directory);
    for entry in subdirs {
        // A checkout has no name that is not UTF-8; a foreign one is found by the check.
        let Some(name) = entry.name.to_str() else { continue };
        let below = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
        collect(&dir.open_dir(name)?, below, found)?;
    }
    found.push((path, dir.stat_self()?));
    Ok(())
}
