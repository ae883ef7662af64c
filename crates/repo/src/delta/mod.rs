//! Static deltas of a repository: made, listed, applied.
//!
//! To apply one: [`read_superblock`] of the bytes of `superblock`; where there are signatures
//! around it, [`verify_delta`] checks them. Then in a transaction
//! [`plan_delta`] tells which parts and which single objects are needed, given what is there,
//! [`apply_part`] carries one out, in any order and on any thread, [`patch_part`] does without one
//! that has only directories which differ little from those that are here, and
//! [`write_delta_commit`] writes the commit. Nothing is trusted: the commit and every object must
//! have its checksum, and no part may make more than its superblock says.

mod apply;
mod generate;
mod offline;
mod plan;
mod recipe;
mod signature;
mod store;

pub use apply::{PartOutcome, apply_part, patch_part, write_delta_commit};
pub use generate::{
    DeltaPlace, GenerateOptions, GenerateReport, SignDelta, generate_delta, plan_generate,
};
pub use offline::{apply_offline, plan_offline};
pub use plan::{DeltaPlan, plan_delta, read_superblock};
pub use signature::{DeltaKeys, verify_delta};
pub(crate) use store::remove_delta;
pub use store::{
    DeltaFiles, ReindexPlan, delete_delta, delta_digests, delta_files, has_delta,
    list_delta_indexes, list_deltas, plan_reindex, read_delta, read_part, reindex_deltas,
};
pub use trefoil_delta::{
    Chunk, DeltaError, DeltaIndex, DeltaName, Endianness, Fallback, Limits, OpStats, Part,
    PartHeader, PartSizes, Piece, Recipe, RecipeKind, SignedDelta, Superblock, chunks, index_path,
};
