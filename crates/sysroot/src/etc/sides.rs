use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTree;
use trefoil_fsat::{Dir, FileKind, FsError, Stat};
use trefoil_repo::{Repo, TreeId};

use super::Result;
use super::diff::differs;
use super::scan::stat_opt;

/// Where the plan looks the old and the new defaults up.
#[derive(Copy, Clone, Debug)]
pub enum Sides<'a> {
    /// Two checked out directories `usr/etc`.
    Disk {
        /// Of the merge deployment.
        old: &'a Dir,
        /// Of the new deployment.
        new: &'a Dir,
    },
    /// Two directories `usr/etc` in the repository: the new commit need not be checked out,
    /// and what did not change between the commits is never read. A default of which only
    /// extended attributes changed counts as changed here.
    Trees {
        /// The repository that holds both commits.
        repo: &'a Repo,
        /// Of the merge deployment's commit.
        old: TreeId,
        /// Of the new commit.
        new: TreeId,
    },
}

/// What the defaults have under a name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Dir(Option<TreeId>),
    Other(Option<Checksum>),
}

impl Found {
    pub(crate) fn is_dir(self) -> bool {
        matches!(self, Found::Dir(_))
    }

    /// The object that stands for the node itself.
    pub(crate) fn id(self) -> Option<Checksum> {
        match self {
            Found::Dir(tree) => tree.map(|t| t.meta),
            Found::Other(id) => id,
        }
    }
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Source<'a> {
    Disk(&'a Dir),
    Tree(&'a Repo, TreeId),
}

/// Looks paths up in one set of defaults and remembers what it found. Symbolic links on the
/// way are not followed: below them there is nothing.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    source: Source<'a>,
    known: HashMap<PathBuf, Option<Found>>,
    trees: HashMap<Checksum, Rc<DirTree>>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Lookup { source, known: HashMap::new(), trees: HashMap::new() }
    }

    pub(crate) fn find(&mut self, path: &Path) -> Result<Option<Found>> {
        let Some(parent) = path.parent() else {
            return Ok(Some(Found::Dir(match self.source {
                Source::Disk(_) => None,
                Source::Tree(_, root) => Some(root),
            })));
        };
        if let Some(found) = self.known.get(path) {
            return Ok(*found);
        }
        let found = match self.find(parent)? {
            Some(Found::Dir(tree)) => self.child(tree, path)?,
            Some(Found::Other(_)) | None => None,
        };
        self.known.insert(path.to_path_buf(), found);
        Ok(found)
    }

    fn child(&mut self, parent: Option<TreeId>, path: &Path) -> Result<Option<Found>> {
        let Some(parent) = parent else {
            let Source::Disk(dir) = self.source else { return Ok(None) };
            let stat = stat_opt(dir, path)?;
            return Ok(stat.map(|s| if s.is_dir() { Found::Dir(None) } else { Found::Other(None) }));
        };
        // Names in a commit are UTF-8, other local names are not in it.
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return Ok(None) };
        let tree = self.tree(&parent)?;
        if let Ok(at) = tree.files.binary_search_by(|f| f.name.as_str().cmp(name)) {
            return Ok(Some(Found::Other(Some(tree.files[at].checksum))));
        }
        let at = tree.dirs.binary_search_by(|d| d.name.as_str().cmp(name));
        Ok(at.ok().map(|at| {
            let dir = &tree.dirs[at];
            Found::Dir(Some(TreeId { tree: dir.tree, meta: dir.meta }))
        }))
    }

    /// The entries of a directory in the repository.
    pub(crate) fn tree(&mut self, id: &TreeId) -> Result<Rc<DirTree>> {
        if let Some(tree) = self.trees.get(&id.tree) {
            return Ok(Rc::clone(tree));
        }
        let Source::Tree(repo, _) = self.source else { return Ok(Rc::default()) };
        let tree = Rc::new(repo.load_dirtree(&id.tree)?);
        self.trees.insert(id.tree, Rc::clone(&tree));
        Ok(tree)
    }

    /// The target, where the defaults have a symbolic link at `path`.
    pub(crate) fn link_target(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        match (self.source, self.find(path)?) {
            (Source::Tree(repo, _), Some(Found::Other(Some(id)))) => {
                Ok(repo.load_file(&id)?.header.symlink_target.map(String::into_bytes))
            }
            (Source::Disk(dir), Some(Found::Other(_))) => match stat_opt(dir, path)? {
                Some(stat) if stat.is_symlink() => Ok(Some(dir.read_link(path)?)),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Whether the local node at `path` equals the default at `at` in what libostree compares.
    pub(crate) fn equals_local(
        &mut self,
        at: &Path,
        local: &Dir,
        path: &Path,
        stat: &Stat,
    ) -> Result<bool> {
        match (self.source, self.find(at)?) {
            (Source::Disk(dir), Some(Found::Other(_))) => {
                let Some(default) = stat_opt(dir, at)? else { return Ok(false) };
                super::copy::equal_nodes((dir, at, &default), (local, path, stat))
            }
            (Source::Tree(repo, _), Some(Found::Other(Some(id)))) => {
                equals_object(repo, &id, local, path, stat)
            }
            _ => Ok(false),
        }
    }
}

fn equals_object(
    repo: &Repo,
    id: &Checksum,
    local: &Dir,
    path: &Path,
    stat: &Stat,
) -> Result<bool> {
    let mut object = repo.load_file(id)?;
    let header = &object.header;
    if (header.mode, header.uid, header.gid) != (stat.mode, stat.uid, stat.gid) {
        return Ok(false);
    }
    match (&header.symlink_target, stat.kind()) {
        (Some(target), FileKind::Symlink) => Ok(local.read_link(path)? == target.as_bytes()),
        (None, FileKind::Regular) if object.size == stat.size => {
            let read = |e| FsError::new("read", format!("{id}.file"), e);
            let mut default = Vec::new();
            object.content.read_to_end(&mut default).map_err(read)?;
            Ok(local.read(path, stat.size)? == default)
        }
        _ => Ok(false),
    }
}

/// Both sets of defaults, for the question whether a path changed between them.
#[derive(Debug)]
pub(crate) struct Between<'a> {
    sides: Sides<'a>,
    pub(crate) old: Lookup<'a>,
    pub(crate) new: Lookup<'a>,
}

impl<'a> Between<'a> {
    pub(crate) fn new(sides: Sides<'a>) -> Self {
        let (old, new) = match sides {
            Sides::Disk { old, new } => (Source::Disk(old), Source::Disk(new)),
            Sides::Trees { repo, old, new } => (Source::Tree(repo, old), Source::Tree(repo, new)),
        };
        Between { sides, old: Lookup::new(old), new: Lookup::new(new) }
    }

    /// Whether anything at or below `path` differs between the two.
    pub(crate) fn changed(&mut self, path: &Path) -> Result<bool> {
        match self.sides {
            Sides::Disk { old, new } => differs(old, new, path),
            Sides::Trees { .. } => Ok(self.old.find(path)? != self.new.find(path)?),
        }
    }
}
