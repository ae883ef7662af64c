//! Making commits: from directories, from trees in the repository, and from both.
//!
//! The order of work, all within one [`Transaction`](crate::Transaction):
//!
//! 1. [`MutableTree::new`], or [`MutableTree::from_tree`] for `--base`;
//! 2. for each `--tree`: [`import_dir`], [`import_tree`] or [`import_archive`], the last one
//!    wins; then [`delete_paths`]. Or, over the tree of the commit before, [`import_changes`];
//! 3. [`CommitModifier::unmatched_overrides`] and [`CommitModifier::unmatched_skips`] must be
//!    empty (libostree prints them as `Unmatched statoverride path: P` and
//!    `Unmatched skip-list path: P` and fails with `Unmatched statoverride paths`);
//! 4. [`MutableTree::write`];
//! 5. [`is_unchanged`] for `--skip-if-unchanged`, [`keep_metadata`], [`bind_refs`];
//! 6. [`write_commit`], then [`Transaction::set_ref`](crate::Transaction::set_ref) and
//!    [`Transaction::commit`](crate::Transaction::commit), whose
//!    [`TransactionStats`](crate::TransactionStats) are the numbers of `--table-output`.
//!
//! With [`CommitModifier::consume`] the content of a directory is deleted while it is imported;
//! the emptied directory itself is the caller's to remove.
//!
//! With [`Transaction::begin_sizes`](crate::Transaction::begin_sizes) before step 2, and again
//! before each further tree, the commit records what its objects weigh (`--generate-sizes`).
//!
//! # Without a source directory
//!
//! Content need not come from a directory: [`Transaction::write_file`](crate::Transaction::write_file)
//! makes an object of bytes, and [`MutableTree::replace_file`] enters it under a name. Over a
//! [`MutableTree::from_tree`] that reads and writes only the directories on the way to what is
//! entered. `examples/commit_tree.rs` of this crate is such a program in full.
//!
//! # Again and again
//!
//! A [`WatchedTree`] takes the place of steps 1 and 2 for a directory that is being watched:
//! the first time everything is looked at, then what [`trefoil_fsat::watch`] noticed.
//!
//! # Without a commit
//!
//! In a transaction of [`Repo::rehearse`](crate::Repo::rehearse) all steps do the same and write
//! nothing; [`plan_commit`] tells what came of them.
//!
//! SELinux labelling is not supported: labels are imported as the attributes they are.

mod archive;
mod archive_path;
mod archive_tree;
mod devino;
mod file;
mod import;
pub(crate) mod index;
mod links;
mod modifier;
mod overlay;
mod plan;
pub(crate) mod told;
mod watched;
mod whiteout;
mod write;

pub use archive::{ArchiveOptions, TranslatePath, import_archive};
pub use devino::DevInoCache;
pub use import::{ImportStats, import_dir};
pub use index::{CommitIndex, Indexed};
pub use modifier::{CommitModifier, SkipList, StatOverrides};
pub use overlay::import_tree;
pub use plan::{CommitPlan, TreeChanges, plan_commit};
pub use told::{delete_paths, import_changes};
pub use watched::{Looked, Watched, WatchedTree};
pub use write::{
    CommitRequest, bind_refs, is_unchanged, keep_metadata, write_commit, write_signed_commit,
};

#[cfg(doc)]
use crate::MutableTree;
