//! The three-way merge of `/etc`: first a plan, then its application.
//!
//! Inputs are the defaults that the merge deployment came with (its `usr/etc`), its `etc` as
//! the administrator left it, and the defaults of the new deployment. The outcome is that of
//! libostree, case by case, odd ones included: the local side wins, attributes of directories
//! travel only with a changed file below them, and a local file where the new defaults have a
//! directory is an error. Beyond that, every path that both sides changed is named in the plan.
//!
//! [`diff`] finds what the administrator changed: with an [`EtcIndex`] of that `etc` by one
//! stat for each entry, without one by reading both trees. [`plan`] works out the result
//! without touching anything. [`apply_fresh`] makes a new `etc`; [`apply_recycled`] brings an
//! older one to the same state at the cost of the difference. Nothing here syncs.

mod apply;
mod copy;
mod desired;
mod diff;
mod draft;
mod index;
pub(crate) mod index_bytes;
mod judge;
mod overlay;
mod plan;
mod reconcile;
mod scan;
mod sides;
mod simulate;

use std::path::PathBuf;

use trefoil_fsat::FsError;
use trefoil_repo::RepoError;

pub use apply::{Applied, MergeStats, RecycleSources, Sources, apply_fresh, apply_recycled};
pub use diff::{DiffStats, LocalChanges, LocalNode, diff};
pub use index::{EtcIndex, IndexState, file_system_now};
pub use plan::{
    Action, Clash, ClashKind, Conflict, ConflictKind, MergePlan, PlanOptions, Skipped, plan,
};
pub use scan::Scan;
pub use sides::Sides;

/// Result of an operation on `/etc`.
pub type Result<T> = std::result::Result<T, EtcError>;

/// Why the merge of `/etc` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcError {
    /// The file system refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An object of the defaults cannot be read.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The local and the default side cannot be brought together. Nothing was written.
    #[error("During /etc merge: {0}")]
    Clash(Clash),
    /// A file changed its type while it was copied.
    #[error("{} is no longer a {was}: it changed while /etc was merged; try again", path.display())]
    Changing {
        /// The path below `etc`.
        path: PathBuf,
        /// What it was when the plan was made.
        was: &'static str,
    },
}
