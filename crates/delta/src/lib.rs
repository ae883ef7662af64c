//! Static deltas of OSTree as pure data: no I/O.
//!
//! A static delta leads from one commit, or from nothing, to another. Its [`Superblock`] holds
//! the commit and says which objects each part makes and which are to be fetched by themselves.
//! A [`Part`] holds contents, and operations that make objects of them and of objects that are
//! there already; here they are read into [`Recipe`]s, which another crate carries out. A
//! [`PartBuilder`] makes a part.
//!
//! Nothing here trusts bytes from outside: they never cause a panic, and memory is bounded by
//! [`Limits`]. Checksums of parts are compared here; those of objects by who writes them.

mod error;
mod index;
mod limits;
mod name;
mod part;
mod patch;
mod rollsum;
mod signed;
mod superblock;
mod trees;
mod varint;
mod xz;

pub use error::{DeltaError, Result};
pub use index::DeltaIndex;
pub use limits::Limits;
pub use name::{DeltaName, index_name, index_path};
pub use part::{OpStats, Part, PartBuilder, PartSizes, Piece, Recipe, RecipeKind};
pub use patch::{ByteDiff, apply_patch, byte_copies, byte_diff};
pub use rollsum::{Chunk, Match, Rollsum, chunks, matches};
pub use signed::{SignedDelta, is_signed};
pub use superblock::{Endianness, Fallback, PartHeader, Superblock};
pub use trees::TreePatch;
