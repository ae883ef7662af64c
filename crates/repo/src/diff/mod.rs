//! What changed between two trees.
//!
//! [`diff_trees`] compares trees of a repository by checksums and costs what changed.
//! [`diff_dirs`] gives the lists that `ostree diff` prints, and takes directories of the file
//! system too. [`diff_objects`] counts the objects two commits share.

mod dirs;
mod objects;

pub use dirs::{DiffSide, DirsDiff, DirsDiffOptions, diff_dirs};
pub use objects::{ObjectsDiff, diff_objects};

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::{DirTreeView, Pair};
use trefoil_format::object::ObjectType;

use crate::lookup::{entry_in, parse_dirtree};
use crate::mutable_tree::MAX_DEPTH;
use crate::{Repo, RepoError, Result, Transaction, TreeEntry, TreeId};

/// One difference between two trees.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TreeChange<'p> {
    /// Path from the root, beginning with `/`; the root itself is `/`. It lives in a buffer
    /// that the next change overwrites.
    pub path: &'p str,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// How an entry of a tree changed. A directory that appears or goes is one change: what is
/// below it is not visited.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Neither a file nor a directory had the name.
    FileAdded {
        /// The file object.
        new: Checksum,
    },
    /// Nothing has the name any more.
    FileRemoved {
        /// The file object.
        old: Checksum,
    },
    /// Content, mode, owner, attributes or link target changed; also a regular file that
    /// became a symbolic link or the other way round.
    FileChanged {
        /// The old file object.
        old: Checksum,
        /// The new file object.
        new: Checksum,
    },
    /// A whole directory.
    DirAdded {
        /// The directory.
        new: TreeId,
    },
    /// A whole directory.
    DirRemoved {
        /// The directory.
        old: TreeId,
    },
    /// Owner, mode or attributes of a directory that both trees have. Changes below it follow.
    DirMetaChanged {
        /// The old dirmeta object.
        old: Checksum,
        /// The new dirmeta object.
        new: Checksum,
    },
    /// A directory takes the place of a file or symbolic link.
    FileToDir {
        /// The file object.
        old: Checksum,
        /// The directory.
        new: TreeId,
    },
    /// A file or symbolic link takes the place of a directory.
    DirToFile {
        /// The directory.
        old: TreeId,
        /// The file object.
        new: Checksum,
    },
}

/// What a comparison cost and found.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffStats {
    /// Dirtree objects read: two for every directory descended into.
    pub dirtrees_read: u64,
    /// Changes visited.
    pub changes: u64,
}

/// Calls `visit` for every difference between `old` and `new`, and reads only directories
/// whose dirtree checksums differ.
///
/// The order is depth first: of a directory first the change of its metadata, then its files
/// in the order of their names, then its directories, each with what is below it, in the order
/// of theirs. A change between file and directory comes with the files.
///
/// # Errors
/// A dirtree object that is missing or broken; changes may have been visited by then.
pub fn diff_trees(
    repo: &Repo,
    old: TreeId,
    new: TreeId,
    visit: &mut dyn FnMut(TreeChange<'_>),
) -> Result<DiffStats> {
    Walk::run(&|tree| repo.load_metadata(ObjectType::DirTree, tree), old, new, visit)
}

/// As [`diff_trees`], of trees that may still be in a transaction.
pub(crate) fn diff_trees_in(
    transaction: &Transaction<'_>,
    old: TreeId,
    new: TreeId,
    visit: &mut dyn FnMut(TreeChange<'_>),
) -> Result<DiffStats> {
    Walk::run(&|tree| transaction.load_metadata(ObjectType::DirTree, tree), old, new, visit)
}

/// Gives the bytes of a dirtree object.
type Load<'a> = &'a dyn Fn(&Checksum) -> Result<Vec<u8>>;

struct Walk<'a> {
    load: Load<'a>,
    visit: &'a mut dyn FnMut(TreeChange<'_>),
    /// Of the directory being compared, without a `/` at its end unless it is the root.
    path: String,
    depth: usize,
    stats: DiffStats,
}

impl<'a> Walk<'a> {
    fn run(
        load: Load<'a>,
        old: TreeId,
        new: TreeId,
        visit: &'a mut dyn FnMut(TreeChange<'_>),
    ) -> Result<DiffStats> {
        let (path, stats) = (String::from("/"), DiffStats::default());
        let mut walk = Walk { load, visit, path, depth: 0, stats };
        walk.dir(old, new)?;
        Ok(walk.stats)
    }

    fn emit(&mut self, kind: ChangeKind) {
        self.stats.changes += 1;
        (self.visit)(TreeChange { path: &self.path, kind });
    }

    /// Runs `inner` with `name` appended to the path.
    fn within<T>(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let len = self.path.len();
        if len > 1 {
            self.path.push('/');
        }
        self.path.push_str(name);
        let out = inner(self);
        self.path.truncate(len);
        out
    }

    fn emit_at(&mut self, name: &str, kind: ChangeKind) {
        self.within(name, |walk| walk.emit(kind));
    }

    fn dir(&mut self, old: TreeId, new: TreeId) -> Result<()> {
        if old.meta != new.meta {
            self.emit(ChangeKind::DirMetaChanged { old: old.meta, new: new.meta });
        }
        if old.tree == new.tree {
            return Ok(());
        }
        if self.depth > MAX_DEPTH {
            return Err(RepoError::Refused(format!("{} is nested too deeply", self.path)));
        }
        let old_bytes = (self.load)(&old.tree)?;
        let new_bytes = (self.load)(&new.tree)?;
        self.stats.dirtrees_read += 2;
        let old_tree = parse_dirtree(&old_bytes, &old.tree)?;
        let new_tree = parse_dirtree(&new_bytes, &new.tree)?;
        self.files(&old_tree, &new_tree);
        self.depth += 1;
        self.dirs(&old_tree, &new_tree)?;
        self.depth -= 1;
        Ok(())
    }

    fn files(&mut self, old: &DirTreeView<'_>, new: &DirTreeView<'_>) {
        for pair in old.differing_files(new) {
            let (name, kind) = match pair {
                Pair::Both((name, [old]), (_, [new])) => {
                    (name, ChangeKind::FileChanged { old, new })
                }
                Pair::Left((name, [old])) => (
                    name,
                    match entry_in(new, name) {
                        Some(TreeEntry::Dir(new)) => ChangeKind::FileToDir { old, new },
                        _ => ChangeKind::FileRemoved { old },
                    },
                ),
                Pair::Right((name, [new])) => (
                    name,
                    match entry_in(old, name) {
                        Some(TreeEntry::Dir(old)) => ChangeKind::DirToFile { old, new },
                        _ => ChangeKind::FileAdded { new },
                    },
                ),
            };
            self.emit_at(name, kind);
        }
    }

    fn dirs(&mut self, old: &DirTreeView<'_>, new: &DirTreeView<'_>) -> Result<()> {
        let id = |[tree, meta]: [Checksum; 2]| TreeId { tree, meta };
        for pair in old.differing_dirs(new) {
            match pair {
                Pair::Both((name, old), (_, new)) => {
                    self.within(name, |walk| walk.dir(id(old), id(new)))?;
                }
                // A file of the same name was dealt with among the files.
                Pair::Left((name, dir)) if new.find_file(name).is_none() => {
                    self.emit_at(name, ChangeKind::DirRemoved { old: id(dir) });
                }
                Pair::Right((name, dir)) if old.find_file(name).is_none() => {
                    self.emit_at(name, ChangeKind::DirAdded { new: id(dir) });
                }
                Pair::Left(_) | Pair::Right(_) => {}
            }
        }
        Ok(())
    }
}
