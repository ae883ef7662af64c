//! Static deltas of a repository: applied, made, listed.
//!
//! To apply one: [`read_superblock`] of the bytes of `superblock`; where there are signatures
//! around it, check those first, over [`SignedDelta::superblock`]. Then in a transaction
//! [`plan_delta`] tells which parts and which single objects are needed, given what is there,
//! [`apply_part`] carries one out, in any order and on any thread, and [`write_delta_commit`]
//! writes the commit. Nothing is trusted: the commit and every object must have its checksum,
//! and no part may make more than its superblock says.

mod apply;
mod plan;
mod recipe;

pub use apply::{PartOutcome, apply_part, write_delta_commit};
pub use plan::{DeltaPlan, plan_delta, read_superblock};
pub use trefoil_delta::{
    DeltaError, DeltaIndex, DeltaName, Endianness, Fallback, Limits, Part, PartHeader, SignedDelta,
    Superblock, index_path,
};
