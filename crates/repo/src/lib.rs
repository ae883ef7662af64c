//! An OSTree repository: objects, refs, commit, checkout, diff, prune, fsck.
//!
//! A [`Repo`] is a directory in libostree's format, in any of its modes. Reading needs no
//! lock. Writing goes through a [`Transaction`], which stages objects, syncs once and renames
//! them into place, and only then moves refs; see `docs/durability.md`.
//!
//! What this crate never does: know of deployments, print, read the environment or the clock.

mod archive;
mod bindings;
pub mod checkout;
mod collections;
pub mod commit;
pub mod config;
mod deep;
pub mod delta;
pub mod diff;
mod error;
pub mod export;
pub mod finder;
pub mod fsck;
#[doc(hidden)]
pub mod fuzzing;
mod local_file;
mod lock;
mod lookup;
mod loose;
mod mode;
mod mutable_tree;
pub mod object;
pub mod prune;
pub mod pull;
mod refs;
pub mod remote;
mod replace;
mod repo;
pub mod reset;
mod rev;
mod space;
pub mod summary;
mod transaction;
pub mod traverse;
mod tree_id;
pub mod verify;

pub use collections::CollectionRef;
pub use error::{RepoError, Result};
pub use lock::RepoLock;
pub use lookup::TreeEntry;
pub use mode::RepoMode;
pub use mutable_tree::MutableTree;
pub use object::{CommitState, Content, FileObject};
pub use refs::{ListRefs, RefTarget, StagedRefs};
pub use repo::Repo;
pub use transaction::{FileSource, ImportMethod, RefMove, Transaction, TransactionStats};
pub use tree_id::TreeId;
