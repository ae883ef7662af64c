use std::collections::BTreeMap;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::{DirTree, FileEntry, SubdirEntry};
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;

use crate::deep::{FEW, SHALLOW, on_deep_stacks};
use crate::{Repo, RepoError, Result, Transaction, TreeId};

/// How deep trees may nest; `PATH_MAX` would be reached soon after by any path worth having.
pub(crate) const MAX_DEPTH: usize = 256;

/// A tree that is being put together for a commit.
///
/// A subtree that comes from the repository stays a pair of checksums until something in it
/// is touched: then its one dirtree is read, and its subtrees are pairs again. So overlaying
/// and writing cost in proportion to the directories touched. Names are checked by their type;
/// a name is never both a file and a directory.
#[derive(Debug, Default)]
pub struct MutableTree {
    meta: Option<Checksum>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// All as in this dirtree object, not read yet.
    Lazy(Checksum),
    Whole(Whole),
}

#[derive(Debug, Default)]
struct Whole {
    files: BTreeMap<EntryName, Checksum>,
    dirs: BTreeMap<EntryName, MutableTree>,
    /// The object it was read from: need not be written again if it still is the same.
    loaded: Option<Checksum>,
    /// Whether anything was put here or taken away since, be it the same.
    changed: bool,
}

impl Default for State {
    fn default() -> Self {
        State::Whole(Whole::default())
    }
}

impl MutableTree {
    /// An empty tree with no metadata yet; it cannot be written before
    /// [`MutableTree::set_metadata`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree `id` of a repository; nothing is read yet.
    pub fn from_tree(id: TreeId) -> Self {
        MutableTree { meta: Some(id.meta), state: State::Lazy(id.tree) }
    }

    /// The dirmeta object of this directory, if it was set.
    pub fn metadata(&self) -> Option<Checksum> {
        self.meta
    }

    /// Sets the dirmeta object of this directory.
    pub fn set_metadata(&mut self, meta: Checksum) {
        self.meta = Some(meta);
    }

    /// The subdirectory `name`, made empty and without metadata if there is none. Fails where
    /// a file has that name.
    pub fn ensure_dir(&mut self, repo: &Repo, name: &EntryName) -> Result<&mut MutableTree> {
        let whole = self.whole(repo)?;
        if whole.files.contains_key(name) {
            return Err(RepoError::Refused(format!(
                "Can't replace file with directory: {}",
                name.as_str()
            )));
        }
        whole.changed |= !whole.dirs.contains_key(name);
        Ok(whole.dirs.entry(name.clone()).or_default())
    }

    /// Puts the file object `checksum` under `name`. Fails where a directory has that name.
    pub fn replace_file(&mut self, repo: &Repo, name: EntryName, checksum: Checksum) -> Result<()> {
        let whole = self.whole(repo)?;
        if whole.dirs.contains_key(&name) {
            return Err(RepoError::Refused(format!(
                "Can't replace directory with file: {}",
                name.as_str()
            )));
        }
        whole.changed = true;
        whole.files.insert(name, checksum);
        Ok(())
    }

    /// Removes the file or directory `name`; false where there is none.
    pub fn remove(&mut self, repo: &Repo, name: &EntryName) -> Result<bool> {
        let whole = self.whole(repo)?;
        let removed = whole.files.remove(name).is_some() || whole.dirs.remove(name).is_some();
        whole.changed |= removed;
        Ok(removed)
    }

    /// Removes the file or directory `name`, and gives the directory.
    pub(crate) fn take(&mut self, repo: &Repo, name: &EntryName) -> Result<Option<MutableTree>> {
        let whole = self.whole(repo)?;
        whole.files.remove(name);
        Ok(whole.dirs.remove(name))
    }

    /// Removes all that is in this directory; nothing is read for it.
    pub fn clear(&mut self) {
        self.state = State::default();
    }

    /// The file object under `name`.
    pub fn file(&mut self, repo: &Repo, name: &EntryName) -> Result<Option<Checksum>> {
        Ok(self.whole(repo)?.files.get(name).copied())
    }

    /// The directory under `name`.
    pub fn dir(&mut self, repo: &Repo, name: &EntryName) -> Result<Option<&mut MutableTree>> {
        Ok(self.whole(repo)?.dirs.get_mut(name))
    }

    /// Whether nothing is in this directory.
    pub fn is_empty(&mut self, repo: &Repo) -> Result<bool> {
        let whole = self.whole(repo)?;
        Ok(whole.files.is_empty() && whole.dirs.is_empty())
    }

    /// Lays the tree `over` of the repository over this one. As in libostree the last one wins:
    /// files and directory metadata of `over` replace those here, directories are united, and a
    /// file against a directory is an error.
    ///
    /// Only directories that are in both trees and differ are read.
    pub fn overlay(&mut self, repo: &Repo, over: TreeId) -> Result<()> {
        self.overlay_at(repo, over, 0)
    }

    fn overlay_at(&mut self, repo: &Repo, over: TreeId, depth: usize) -> Result<()> {
        check_depth(depth)?;
        self.meta = Some(over.meta);
        if matches!(self.state, State::Lazy(tree) if tree == over.tree) {
            return Ok(());
        }
        if self.is_empty(repo)? {
            self.state = State::Lazy(over.tree);
            return Ok(());
        }
        let tree = repo.load_dirtree(&over.tree)?;
        for file in tree.files {
            self.replace_file(repo, file.name, file.checksum)?;
        }
        for dir in tree.dirs {
            let id = TreeId { tree: dir.tree, meta: dir.meta };
            self.ensure_dir(repo, &dir.name)?.overlay_at(repo, id, depth + 1)?;
        }
        Ok(())
    }

    /// Writes the dirtrees that are new and gives the checksums of this directory. The dirmeta
    /// objects are not looked at: whoever set them has written them.
    pub fn write(&self, transaction: &Transaction<'_>) -> Result<TreeId> {
        match self.is_small(0, &mut 0) {
            true => Ok(self.write_at(transaction, 0, true)?.0),
            false => on_deep_stacks(|| Ok(self.write_at(transaction, 0, false)?.0)),
        }
    }

    /// Whether few directories were looked into, none of them deep down. `count` is that of
    /// those before this one.
    fn is_small(&self, depth: usize, count: &mut usize) -> bool {
        let State::Whole(whole) = &self.state else { return true };
        *count += 1;
        let mut dirs = whole.dirs.values();
        *count < FEW && depth < SHALLOW && dirs.all(|dir| dir.is_small(depth + 1, count))
    }

    /// Tells too whether the dirtree counts as touched: libostree writes such ones again, which
    /// shows in the sizes of a commit. `alone` is without other threads.
    fn write_at(
        &self,
        transaction: &Transaction<'_>,
        depth: usize,
        alone: bool,
    ) -> Result<(TreeId, bool)> {
        check_depth(depth)?;
        let meta = self
            .meta
            .ok_or_else(|| RepoError::Refused("Can't commit an empty tree".to_string()))?;
        let whole = match &self.state {
            State::Lazy(tree) => return Ok((TreeId { tree: *tree, meta }, false)),
            State::Whole(whole) => whole,
        };
        let write_dir = |(name, dir): (&EntryName, &MutableTree)| {
            let (id, touched) = dir.write_at(transaction, depth + 1, alone)?;
            Ok((SubdirEntry { name: name.clone(), tree: id.tree, meta: id.meta }, touched))
        };
        let dirs = match alone {
            true => whole.dirs.iter().map(write_dir).collect::<Result<Vec<_>>>()?,
            false => whole.dirs.par_iter().map(write_dir).collect::<Result<Vec<_>>>()?,
        };
        let touched = whole.changed || dirs.iter().any(|(_, touched)| *touched);
        let dirs = dirs.into_iter().map(|(dir, _)| dir).collect();
        let file = |(name, checksum): (&EntryName, &Checksum)| FileEntry {
            name: name.clone(),
            checksum: *checksum,
        };
        let bytes = DirTree { files: whole.files.iter().map(file).collect(), dirs }.to_bytes();
        let tree = match whole.loaded {
            Some(loaded) if Checksum::of(&bytes) == loaded => {
                if touched {
                    transaction.note_size(loaded, ObjectType::DirTree, bytes.len() as u64);
                }
                loaded
            }
            _ => transaction.write_metadata(ObjectType::DirTree, &bytes)?,
        };
        let touched = touched || whole.loaded != Some(tree);
        Ok((TreeId { tree, meta }, touched))
    }

    /// The subdirectories that exist, to be worked on at the same time.
    pub(crate) fn dirs_mut(&mut self, repo: &Repo) -> Result<Vec<(&EntryName, &mut MutableTree)>> {
        Ok(self.whole(repo)?.dirs.iter_mut().collect())
    }

    fn whole(&mut self, repo: &Repo) -> Result<&mut Whole> {
        if let State::Lazy(checksum) = self.state {
            let tree = repo.load_dirtree(&checksum)?;
            self.state = State::Whole(Whole::from_dirtree(tree, checksum));
        }
        match &mut self.state {
            State::Whole(whole) => Ok(whole),
            State::Lazy(_) => unreachable!("made whole just above"),
        }
    }
}

impl Whole {
    fn from_dirtree(tree: DirTree, checksum: Checksum) -> Self {
        let dir = |dir: SubdirEntry| {
            (dir.name, MutableTree::from_tree(TreeId { tree: dir.tree, meta: dir.meta }))
        };
        Whole {
            files: tree.files.into_iter().map(|file| (file.name, file.checksum)).collect(),
            dirs: tree.dirs.into_iter().map(dir).collect(),
            loaded: Some(checksum),
            changed: false,
        }
    }
}

pub(crate) fn check_depth(depth: usize) -> Result<()> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(RepoError::Refused(format!("directories are nested deeper than {MAX_DEPTH}")))
}
