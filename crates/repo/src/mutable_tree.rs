use std::collections::BTreeMap;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTreeBuf;
use trefoil_format::name::EntryName;
use trefoil_format::object::{ObjectName, ObjectType};

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

/// A directory that was looked into: a dirtree as it was read, and what was done to it. Of the
/// 15,000 entries of some directories only those that are touched are taken apart.
#[derive(Debug, Default)]
struct Whole {
    base: DirTreeBuf,
    /// The object that `base` is; `None` for a directory that is new.
    loaded: Option<Checksum>,
    /// Files that were put here, or taken away.
    files: BTreeMap<EntryName, Option<Checksum>>,
    /// Directories that were looked at, put here, or taken away.
    dirs: BTreeMap<EntryName, Option<MutableTree>>,
    /// Whether anything was put here or taken away, be it the same.
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
        if whole.file(name).is_some() {
            return Err(RepoError::Refused(format!(
                "Can't replace file with directory: {}",
                name.as_str()
            )));
        }
        if !whole.has_dir(name) {
            whole.changed = true;
            whole.dirs.insert(name.clone(), Some(MutableTree::default()));
        }
        Ok(whole.dir(name).expect("it was there or was put there"))
    }

    /// Puts the file object `checksum` under `name`. Fails where a directory has that name.
    pub fn replace_file(&mut self, repo: &Repo, name: EntryName, checksum: Checksum) -> Result<()> {
        let whole = self.whole(repo)?;
        if whole.has_dir(&name) {
            return Err(RepoError::Refused(format!(
                "Can't replace directory with file: {}",
                name.as_str()
            )));
        }
        whole.changed = true;
        whole.files.insert(name, Some(checksum));
        Ok(())
    }

    /// Removes the file or directory `name`; false where there is none.
    pub fn remove(&mut self, repo: &Repo, name: &EntryName) -> Result<bool> {
        let whole = self.whole(repo)?;
        let removed = whole.remove_file(name) || whole.take_dir(name).is_some();
        whole.changed |= removed;
        Ok(removed)
    }

    /// Removes the file or directory `name`, and gives the directory.
    pub(crate) fn take(&mut self, repo: &Repo, name: &EntryName) -> Result<Option<MutableTree>> {
        let whole = self.whole(repo)?;
        whole.remove_file(name);
        Ok(whole.take_dir(name))
    }

    /// Removes all that is in this directory; nothing is read for it.
    pub fn clear(&mut self) {
        self.state = State::default();
    }

    /// The file object under `name`.
    pub fn file(&mut self, repo: &Repo, name: &EntryName) -> Result<Option<Checksum>> {
        Ok(self.whole(repo)?.file(name))
    }

    /// The directory under `name`.
    pub fn dir(&mut self, repo: &Repo, name: &EntryName) -> Result<Option<&mut MutableTree>> {
        Ok(self.whole(repo)?.dir(name))
    }

    /// Whether nothing is in this directory.
    pub fn is_empty(&mut self, repo: &Repo) -> Result<bool> {
        Ok(self.whole(repo)?.is_empty())
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
        let mut dirs = whole.dirs.values().flatten();
        *count < FEW && depth < SHALLOW && dirs.all(|dir| dir.is_small(depth + 1, count))
    }

    /// Tells too whether the dirtree counts as touched: libostree writes such ones again, which
    /// shows in the sizes of a commit. `alone` is without other threads.
    fn write_at<'t>(
        &'t self,
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
        let write_dir = |(name, dir): (&'t EntryName, &'t Option<MutableTree>)| {
            let written = match dir {
                Some(dir) => Some(dir.write_at(transaction, depth + 1, alone)?),
                None => None,
            };
            let touched = written.is_some_and(|(_, touched)| touched);
            Ok((name.as_str(), written.map(|(id, _)| [id.tree, id.meta]), touched))
        };
        let dirs = match alone {
            true => whole.dirs.iter().map(write_dir).collect::<Result<Vec<_>>>()?,
            false => whole.dirs.par_iter().map(write_dir).collect::<Result<Vec<_>>>()?,
        };
        let touched = whole.changed || dirs.iter().any(|(.., touched)| *touched);
        let dirs: Vec<_> = dirs.into_iter().map(|(name, dir, _)| (name, dir)).collect();
        let tree = match whole.loaded {
            Some(loaded) if whole.is_as_loaded(&dirs) => {
                if touched {
                    transaction.note_size(loaded, ObjectType::DirTree, whole.base.size());
                }
                loaded
            }
            _ => {
                let files =
                    whole.files.iter().map(|(name, file)| (name.as_str(), file.map(|c| [c])));
                let bytes = whole.base.edited(files, dirs.into_iter());
                transaction.write_metadata(ObjectType::DirTree, &bytes)?
            }
        };
        let touched = touched || whole.loaded != Some(tree);
        Ok((TreeId { tree, meta }, touched))
    }

    /// The subdirectories that exist, to be worked on at the same time.
    pub(crate) fn dirs_mut<'t>(
        &'t mut self,
        repo: &Repo,
    ) -> Result<Vec<(&'t EntryName, &'t mut MutableTree)>> {
        let whole = self.whole(repo)?;
        let view = whole.base.view();
        for (name, tree, meta) in view.dirs() {
            if !whole.dirs.contains_key(name) {
                let name = EntryName::new(name).map_err(|e| RepoError::format("a directory", e))?;
                whole.dirs.insert(name, Some(MutableTree::from_tree(TreeId { tree, meta })));
            }
        }
        let there =
            |(name, dir): (&'t EntryName, &'t mut Option<MutableTree>)| Some((name, dir.as_mut()?));
        Ok(whole.dirs.iter_mut().filter_map(there).collect())
    }

    fn whole(&mut self, repo: &Repo) -> Result<&mut Whole> {
        if let State::Lazy(checksum) = self.state {
            let bytes = repo.load_metadata(ObjectType::DirTree, &checksum)?;
            let base = DirTreeBuf::new(bytes).map_err(|source| RepoError::Corrupt {
                name: ObjectName::new(checksum, ObjectType::DirTree),
                source,
            })?;
            self.state = State::Whole(Whole { base, loaded: Some(checksum), ..Whole::default() });
        }
        match &mut self.state {
            State::Whole(whole) => Ok(whole),
            State::Lazy(_) => unreachable!("made whole just above"),
        }
    }
}

impl Whole {
    fn file(&self, name: &EntryName) -> Option<Checksum> {
        match self.files.get(name) {
            Some(file) => *file,
            None => self.base.view().find_file(name),
        }
    }

    fn has_dir(&self, name: &EntryName) -> bool {
        match self.dirs.get(name) {
            Some(dir) => dir.is_some(),
            None => self.base.view().find_dir(name).is_some(),
        }
    }

    fn dir(&mut self, name: &EntryName) -> Option<&mut MutableTree> {
        if !self.dirs.contains_key(name) {
            let (tree, meta) = self.base.view().find_dir(name)?;
            self.dirs.insert(name.clone(), Some(MutableTree::from_tree(TreeId { tree, meta })));
        }
        self.dirs.get_mut(name)?.as_mut()
    }

    /// False where there is none.
    fn remove_file(&mut self, name: &EntryName) -> bool {
        let found = self.file(name).is_some();
        if found {
            self.files.insert(name.clone(), None);
        }
        found
    }

    fn take_dir(&mut self, name: &EntryName) -> Option<MutableTree> {
        self.dir(name)?;
        self.dirs.insert(name.clone(), None)?
    }

    fn is_empty(&self) -> bool {
        let view = self.base.view();
        self.files.values().all(Option::is_none)
            && self.dirs.values().all(Option::is_none)
            && view.files().all(|(name, _)| self.files.contains_key(name))
            && view.dirs().all(|(name, ..)| self.dirs.contains_key(name))
    }

    /// Whether the files, and `dirs` as they are now, are what was read.
    fn is_as_loaded(&self, dirs: &[(&str, Option<[Checksum; 2]>)]) -> bool {
        let view = self.base.view();
        let read = |name| view.find_dir(name).map(|(tree, meta)| [tree, meta]);
        self.files.iter().all(|(name, file)| view.find_file(name) == *file)
            && dirs.iter().all(|(name, dir)| read(name) == *dir)
    }
}

pub(crate) fn check_depth(depth: usize) -> Result<()> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(RepoError::Refused(format!("directories are nested deeper than {MAX_DEPTH}")))
}
