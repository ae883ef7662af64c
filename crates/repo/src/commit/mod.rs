//! Making commits: from directories, from trees in the repository, and from both.
//!
//! The order of work, all within one [`Transaction`](crate::Transaction):
//!
//! 1. [`MutableTree::new`], or [`MutableTree::from_tree`] for `--base`;
//! 2. for each `--tree`: [`import_dir`] or [`import_tree`], the last one wins;
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
//! SELinux labelling is not supported: labels are imported as the attributes they are.

mod devino;
mod file;
mod import;
mod modifier;
mod overlay;
mod write;

pub use devino::DevInoCache;
pub use import::{ImportStats, import_dir};
pub use modifier::{CommitModifier, SkipList, StatOverrides};
pub use overlay::import_tree;
pub use write::{CommitRequest, bind_refs, is_unchanged, keep_metadata, write_commit};

#[cfg(doc)]
use crate::MutableTree;
