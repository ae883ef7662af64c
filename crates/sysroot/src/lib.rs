//! Deployments on a machine: boot entries, /etc merge, the three buffers.
//!
//! A [`Sysroot`] is a directory in libostree's layout: `ostree/repo`, stateroots below
//! `ostree/deploy`, boot links `ostree/boot.N`, entries below `boot/loader`. Reading takes no
//! lock; every change asks for a [`SysrootLock`]. What is on disk after each step of a change
//! is written down in `docs/durability.md`.
//!
//! What this crate never does: print, read the environment or the clock, fetch anything.

mod account;
pub mod boot;
mod cleanup;
pub mod deploy;
mod deployment;
mod error;
pub mod etc;
#[doc(hidden)]
pub mod fuzzing;
mod kernel;
mod list_plan;
mod lock;
mod manage;
pub mod origin;
pub mod spare;
mod staged;
mod stateroot;
pub mod status;
mod sysroot;
mod unlisted;
mod unlock;

pub use account::{Account, Phase};
pub use cleanup::{CleanupOptions, CleanupReport};
pub use deployment::{Deployment, Unlocked, parse_name};
pub use error::{Result, SysrootError};
pub use kernel::{BootFile, DeviceTree, KernelLayout};
pub use list_plan::{Leftovers, ListPlan, ListPreview};
pub use lock::SysrootLock;
pub use manage::ListReport;
pub use staged::{FinalizeReport, Finalized};
pub use stateroot::{Epoch, init_fs, missing_of_fs};
pub use sysroot::{Booted, Sysroot, SysrootOptions};
