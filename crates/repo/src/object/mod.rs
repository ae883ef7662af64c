//! Objects on disk: reading them in every repository mode, and the state kept beside commits.

mod content;
mod detached;
mod read;

pub(crate) use content::OSTREE_META;
pub use content::{Content, FileObject};
pub use detached::CommitState;
