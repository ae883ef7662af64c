use std::collections::HashMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::EntryName;
use trefoil_format::xattrs::Xattrs;

use super::archive_path::ArchivePath;
use super::import::Import;
use super::modifier::{Attributes, TreePath};
use crate::checkout::{OPAQUE, WHITEOUT};
use crate::{MutableTree, RepoError, Result};

/// What directories get that no entry describes.
const DEFAULT_DIR_MODE: u32 = 0o040_755;

/// An entry whose objects are written.
pub(super) enum Placed {
    /// With its dirmeta.
    Dir(Checksum),
    File(Checksum),
    /// What it is a name of, and the file object if the entry had content itself.
    HardLink(ArchivePath, Option<Checksum>),
    /// The path says what is hidden.
    Whiteout,
}

/// An entry to be put into the tree.
pub(super) struct Ready {
    pub path: ArchivePath,
    /// User and group.
    pub owner: (u32, u32),
    pub placed: Placed,
}

/// Puts entries into the tree, in the order of the archive.
pub(super) struct Applier<'a> {
    import: &'a Import<'a>,
    autocreate: bool,
    /// With whiteouts, everything, so that these come before it.
    waiting: Vec<Ready>,
    /// Hard links, which come last: they may stand before their target.
    links: Vec<(ArchivePath, ArchivePath, Option<Checksum>)>,
    /// Dirmetas of directories that were made for others, by owner.
    parent_metas: HashMap<(u32, u32), Checksum>,
}

impl<'a> Applier<'a> {
    pub fn new(import: &'a Import<'a>, autocreate: bool) -> Self {
        let (waiting, links, parent_metas) = Default::default();
        Applier { import, autocreate, waiting, links, parent_metas }
    }

    /// Takes the next entry.
    pub fn add(&mut self, tree: &mut MutableTree, ready: Ready) -> Result<()> {
        match (self.import.modifier.whiteouts, &ready.placed) {
            // Nothing is in the tree yet but what was there before.
            (_, Placed::Whiteout) => self.hide(tree, &ready.path),
            (true, _) => {
                self.waiting.push(ready);
                Ok(())
            }
            (false, _) => self.place(tree, ready),
        }
    }

    /// Puts in what had to wait for the end of the archive.
    pub fn finish(mut self, tree: &mut MutableTree) -> Result<()> {
        for ready in std::mem::take(&mut self.waiting) {
            self.place(tree, ready)?;
        }
        self.link(tree)?;
        if self.autocreate && tree.metadata().is_none() {
            let root = Attributes { uid: 0, gid: 0, mode: DEFAULT_DIR_MODE };
            if let Some(root) = self.import.apply(&TreePath::ROOT, root) {
                tree.set_metadata(self.import.write_meta(root, Xattrs::default())?);
            }
        }
        Ok(())
    }

    /// Removes what a whiteout hides. Nothing to hide is no error.
    fn hide(&self, tree: &mut MutableTree, path: &ArchivePath) -> Result<()> {
        let invalid = || RepoError::Refused(format!("Invalid whiteout '{path}'"));
        let Some(parent) = self.descend(tree, path)? else { return Ok(()) };
        match path.name() {
            Some(OPAQUE) => parent.clear(),
            name => {
                let hidden = name.and_then(|name| name.strip_prefix(WHITEOUT));
                let hidden = hidden.ok_or_else(invalid)?;
                let hidden = EntryName::new(hidden).map_err(|_| invalid())?;
                parent.remove(self.import.transaction.repo(), &hidden)?;
            }
        }
        Ok(())
    }

    fn place(&mut self, tree: &mut MutableTree, ready: Ready) -> Result<()> {
        let Ready { path, owner, placed } = ready;
        let repo = self.import.transaction.repo();
        if self.descend(tree, &path)?.is_none() {
            if !self.autocreate {
                return Err(RepoError::Refused(format!(
                    "No such file or directory: no directory in the tree holds '{path}' \
                     (--tar-autocreate-parents makes those that are missing)"
                )));
            }
            self.make_parents(tree, &path, owner)?;
        }
        let Some(parent) = self.descend(tree, &path)? else { return Err(missing(&path)) };
        let name = match path.name() {
            Some(name) => Some(entry_name(name, &path)?),
            None => None,
        };
        match (name, placed) {
            (None, Placed::Dir(meta)) => parent.set_metadata(meta),
            (Some(name), Placed::Dir(meta)) => parent.ensure_dir(repo, &name)?.set_metadata(meta),
            (Some(name), Placed::File(checksum)) => parent.replace_file(repo, name, checksum)?,
            (Some(name), Placed::HardLink(target, content)) => {
                if let Some(checksum) = content {
                    parent.replace_file(repo, name, checksum)?;
                }
                self.links.push((path, target, content));
            }
            (None, _) => {
                let text = "Can't replace directory with file: the root of the archive";
                return Err(RepoError::Refused(text.to_string()));
            }
            (Some(_), Placed::Whiteout) => {}
        }
        Ok(())
    }

    /// The directory that holds `path`; `None` where there is none.
    fn descend<'t>(
        &self,
        tree: &'t mut MutableTree,
        path: &ArchivePath,
    ) -> Result<Option<&'t mut MutableTree>> {
        let mut at = tree;
        for name in path.parents() {
            match at.dir(self.import.transaction.repo(), &entry_name(name, path)?)? {
                Some(dir) => at = dir,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Makes the directories above `path`. Options do not apply to them, as in libostree.
    fn make_parents(
        &mut self,
        tree: &mut MutableTree,
        path: &ArchivePath,
        owner: (u32, u32),
    ) -> Result<()> {
        let meta = match self.parent_metas.get(&owner) {
            Some(meta) => *meta,
            None => {
                let (uid, gid) = owner;
                let attributes = Attributes { uid, gid, mode: DEFAULT_DIR_MODE };
                let meta = self.import.write_meta(attributes, Xattrs::default())?;
                self.parent_metas.insert(owner, meta);
                meta
            }
        };
        let mut at = tree;
        at.set_metadata(meta);
        for name in path.parents() {
            at = at.ensure_dir(self.import.transaction.repo(), &entry_name(name, path)?)?;
            at.set_metadata(meta);
        }
        Ok(())
    }

    /// Resolves the hard links. Where one had content, that is the content of its target and of
    /// all its names: cpio has it at the last name.
    fn link(&mut self, tree: &mut MutableTree) -> Result<()> {
        let repo = self.import.transaction.repo();
        let links = std::mem::take(&mut self.links);
        let mut seen = std::collections::HashSet::new();
        for (_, target, content) in &links {
            if let Some(checksum) = content
                && seen.insert(target)
            {
                self.put(tree, target, *checksum)?;
            }
        }
        for (path, target, _) in &links {
            let checksum = match (self.descend(tree, target)?, target.name()) {
                (Some(dir), Some(name)) => dir.file(repo, &entry_name(name, target)?)?,
                _ => None,
            };
            let checksum = checksum.ok_or_else(|| {
                RepoError::Refused(format!(
                    "ostree-tar: Processing deferred hardlink {path}: Failed to find object: \
                     No such file: {target}"
                ))
            })?;
            self.put(tree, path, checksum)?;
        }
        Ok(())
    }

    fn put(&self, tree: &mut MutableTree, path: &ArchivePath, checksum: Checksum) -> Result<()> {
        let repo = self.import.transaction.repo();
        match (self.descend(tree, path)?, path.name()) {
            (Some(dir), Some(name)) => dir.replace_file(repo, entry_name(name, path)?, checksum),
            _ => Err(missing(path)),
        }
    }
}

fn entry_name(name: &str, path: &ArchivePath) -> Result<EntryName> {
    EntryName::new(name).map_err(|e| RepoError::format(format!("archive entry '{path}'"), e))
}

fn missing(path: &ArchivePath) -> RepoError {
    RepoError::PathNotFound { path: path.to_string() }
}
