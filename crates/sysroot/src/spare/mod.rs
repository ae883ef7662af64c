//! The spare: a retired deployment tree, kept where no boot entry and no other tool sees it,
//! to become the next deployment by the difference of two commits.
//!
//! Everything lies below `ostree/trefoil/STATEROOT/`; deleting it loses speed, never data.
//!
//! | name | what |
//! |---|---|
//! | `spare.COMMIT.INODE` | a sealed spare: the tree of that commit, its root directory of that inode |
//! | `spare.dirs` | its seal |
//! | `work` | a tree being made or converted; found by the next run it is thrown away |
//! | `dirs.CHECKSUM.SERIAL` | the seal of a deployment |
//!
//! The name is the state: a tree that may be half converted is never called a spare. See
//! `docs/durability.md` for what each step leaves behind.

mod builder;
mod check;
pub(crate) mod record;
pub(crate) mod seal;
mod status;
mod store;

pub use builder::SpareBuilder;
pub use seal::{DirSeal, Seal};
pub use status::{SpareState, SpareStatus};

use serde::Serialize;
use trefoil_fsat::FsError;

/// How far a spare is checked before it is converted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// One `stat` for every directory and every entry of `etc`: finds added, removed, replaced
    /// and renamed entries and changed directories, not changed content of files.
    #[default]
    Stat,
    /// Every name, every byte and all metadata.
    Full,
    /// Believe the seal.
    None,
}

impl Trust {
    /// The policy of that name.
    pub fn from_word(word: &str) -> Option<Trust> {
        Some(match word {
            "stat" => Trust::Stat,
            "full" => Trust::Full,
            "none" => Trust::None,
            _ => return None,
        })
    }

    /// The name of the policy.
    pub const fn word(self) -> &'static str {
        match self {
            Trust::Stat => "stat",
            Trust::Full => "full",
            Trust::None => "none",
        }
    }
}

/// Why an operation on a spare failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SpareError(#[from] FsError);

impl From<SpareError> for crate::SysrootError {
    fn from(SpareError(source): SpareError) -> Self {
        source.into()
    }
}
