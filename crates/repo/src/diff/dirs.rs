use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_format::object::ObjectType;
use trefoil_fsat::{Dir, Stat};

use crate::local_file::{Canonical, checksum_local};
use crate::lookup::parse_dirtree;
use crate::mutable_tree::MAX_DEPTH;
use crate::{Repo, RepoError, RepoMode, Result, TreeId};

/// One side of a comparison.
#[derive(Copy, Clone, Debug)]
pub enum DiffSide<'a> {
    /// A tree of a repository.
    Tree(&'a Repo, TreeId),
    /// A directory of the file system.
    Dir(&'a Dir),
}

/// What a comparison leaves out of account.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DirsDiffOptions {
    /// Take files of a directory as without extended attributes (`--no-xattrs`). Always so
    /// where one side is in a `bare-user-only` repository.
    pub no_xattrs: bool,
    /// Take this as the owner of files of the second side, if that is a directory.
    pub owner_uid: Option<u32>,
    /// Take this as the group of files of the second side, if that is a directory.
    pub owner_gid: Option<u32>,
}

/// The lists that `ostree diff` prints. Paths of trees begin with `/`, those of directories are
/// relative.
///
/// The order is that of the names within a directory, of trees files before directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirsDiff {
    /// Paths of both sides that differ in type, content or metadata, as named on the first.
    /// A directory only for its own metadata, or because the other side has a file there.
    pub modified: Vec<PathBuf>,
    /// Paths of the first side only; what is below a directory is not listed.
    pub removed: Vec<PathBuf>,
    /// Paths of the second side only, with all below them.
    pub added: Vec<PathBuf>,
}

/// Compares trees or directories, entry by entry; the two roots themselves are not compared.
///
/// Directories of equal trees are not read. Files of a directory are read and hashed.
///
/// # Errors
/// Missing or broken objects; those of the file system; a device, socket or fifo where the
/// other side has a file too.
pub fn diff_dirs(
    old: DiffSide<'_>,
    new: DiffSide<'_>,
    options: &DirsDiffOptions,
) -> Result<DirsDiff> {
    let no_xattrs = options.no_xattrs || [&old, &new].iter().any(|side| side.has_no_xattrs());
    let mut walk = Walk {
        out: DirsDiff::default(),
        old: Canonical { no_xattrs, uid: None, gid: None },
        new: Canonical { no_xattrs, uid: options.owner_uid, gid: options.owner_gid },
    };
    walk.dir(&Side::new(old), &Side::new(new), 0)?;
    Ok(walk.out)
}

impl DiffSide<'_> {
    fn has_no_xattrs(&self) -> bool {
        matches!(self, DiffSide::Tree(repo, _) if repo.mode() == RepoMode::BareUserOnly)
    }
}

/// A directory on one side.
struct Side<'a> {
    at: Held<'a>,
    path: PathBuf,
}

enum Held<'a> {
    Tree(&'a Repo, TreeId),
    Dir(&'a Dir),
    Opened(Dir),
}

enum Entry {
    File(Checksum),
    Dir(TreeId),
    Local(Stat),
}

impl Entry {
    fn is_dir(&self) -> bool {
        match self {
            Entry::File(_) => false,
            Entry::Dir(_) => true,
            Entry::Local(stat) => stat.is_dir(),
        }
    }
}

/// Entries in the order they are visited in: by rank, then by name.
type Entries = BTreeMap<(u8, OsString), Entry>;

fn find<'e>(entries: &'e Entries, name: &OsStr) -> Option<&'e Entry> {
    [0, 1].iter().find_map(|rank| entries.get(&(*rank, name.to_os_string())))
}

impl<'a> Side<'a> {
    fn new(side: DiffSide<'a>) -> Self {
        match side {
            DiffSide::Tree(repo, id) => Side { at: Held::Tree(repo, id), path: PathBuf::from("/") },
            DiffSide::Dir(dir) => Side { at: Held::Dir(dir), path: PathBuf::new() },
        }
    }

    fn local(&self) -> Option<&Dir> {
        match &self.at {
            Held::Tree(..) => None,
            Held::Dir(dir) => Some(dir),
            Held::Opened(dir) => Some(dir),
        }
    }

    fn entries(&self) -> Result<Entries> {
        let mut out = Entries::new();
        if let Held::Tree(repo, id) = &self.at {
            let bytes = repo.load_metadata(ObjectType::DirTree, &id.tree)?;
            let tree = parse_dirtree(&bytes, &id.tree)?;
            out.extend(tree.files().map(|(name, c)| ((0, name.into()), Entry::File(c))));
            out.extend(
                tree.dirs().map(|(name, tree, meta)| {
                    ((1, name.into()), Entry::Dir(TreeId { tree, meta }))
                }),
            );
        } else if let Some(dir) = self.local() {
            for entry in dir.entries()? {
                let stat = dir.stat(&entry.name)?;
                out.insert((0, entry.name), Entry::Local(stat));
            }
        }
        Ok(out)
    }

    fn child(&self, name: &OsStr, entry: &Entry) -> Result<Side<'a>> {
        let path = self.path.join(name);
        let at = match (&self.at, entry, self.local()) {
            (Held::Tree(repo, _), Entry::Dir(id), _) => Held::Tree(repo, *id),
            (_, Entry::Local(_), Some(dir)) => Held::Opened(dir.open_dir(name)?),
            _ => return Err(RepoError::Refused(format!("{} is no directory", path.display()))),
        };
        Ok(Side { at, path })
    }

    fn checksum(&self, name: &OsStr, entry: &Entry, canonical: Canonical) -> Result<Checksum> {
        match (entry, self.local()) {
            (Entry::File(checksum), _) => Ok(*checksum),
            (Entry::Dir(id), _) => Ok(id.meta),
            (Entry::Local(stat), Some(dir)) => checksum_local(dir, name, stat, canonical),
            (Entry::Local(_), None) => {
                Err(RepoError::Refused(format!("{}: not in a tree", Path::new(name).display())))
            }
        }
    }

    fn same_tree(&self, other: &Side<'_>) -> bool {
        matches!((&self.at, &other.at), (Held::Tree(_, a), Held::Tree(_, b)) if a.tree == b.tree)
    }
}

struct Walk {
    out: DirsDiff,
    old: Canonical,
    new: Canonical,
}

impl Walk {
    fn dir(&mut self, old: &Side<'_>, new: &Side<'_>, depth: usize) -> Result<()> {
        if old.same_tree(new) {
            return Ok(());
        }
        check_depth(&old.path, depth)?;
        let (old_entries, new_entries) = (old.entries()?, new.entries()?);
        for ((_, name), a) in &old_entries {
            let path = old.path.join(name);
            let Some(b) = find(&new_entries, name) else {
                self.out.removed.push(path);
                continue;
            };
            if kind(a) != kind(b) {
                self.out.modified.push(path);
                continue;
            }
            if old.checksum(name, a, self.old)? != new.checksum(name, b, self.new)? {
                self.out.modified.push(path);
            }
            if a.is_dir() {
                self.dir(&old.child(name, a)?, &new.child(name, b)?, depth + 1)?;
            }
        }
        for ((_, name), entry) in &new_entries {
            if find(&old_entries, name).is_none() {
                self.added(new, name, entry, depth)?;
            }
        }
        Ok(())
    }

    fn added(&mut self, side: &Side<'_>, name: &OsStr, entry: &Entry, depth: usize) -> Result<()> {
        let path = side.path.join(name);
        check_depth(&path, depth)?;
        self.out.added.push(path);
        if entry.is_dir() {
            let child = side.child(name, entry)?;
            for ((_, name), entry) in &child.entries()? {
                self.added(&child, name, entry, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Types as far as two of them cannot have the same checksum: a file object may be a regular
/// file or a symbolic link.
fn kind(entry: &Entry) -> u8 {
    match entry {
        Entry::Dir(_) => 1,
        Entry::File(_) => 0,
        Entry::Local(stat) if stat.is_dir() => 1,
        Entry::Local(stat) if stat.is_file() || stat.is_symlink() => 0,
        Entry::Local(_) => 2,
    }
}

fn check_depth(path: &Path, depth: usize) -> Result<()> {
    match depth > MAX_DEPTH {
        true => Err(RepoError::Refused(format!("{} is nested too deeply", path.display()))),
        false => Ok(()),
    }
}
