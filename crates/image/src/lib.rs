//! Bootable disk images that hold an OSTree sysroot: made from a commit, and brought to another
//! one in place at the cost of the change.
//!
//! An image is a GPT disk, raw or qcow2, with a root file system and, where a boot loader asks
//! for them, an ESP and a `/boot`. Programs of the distribution make and attach what has a format
//! of its own: mkfs, mtools, mount, qemu-img, qemu-storage-daemon. The tree in it is the work of
//! `trefoil-sysroot`.
//!
//! Attaching needs root. The mounts are a tree that only a handle of ours leads to, on loop devices
//! that the kernel takes away with their last user: whatever ends the process, an error, a panic,
//! Ctrl-C or `kill -9`, nothing stays attached.
//!
//! What this crate never does: print, read the environment or the clock, fetch anything.

mod attach;
mod boot_files;
mod bootloader;
mod create;
mod disk;
mod error;
mod export;
mod extlinux;
mod filesystem;
#[doc(hidden)]
pub mod fuzzing;
mod hold;
mod layout;
mod loops;
mod missing;
mod place;
mod rollback;
mod session;
mod snapshot;
mod status;
mod systemd_boot;
mod tools;
mod update;

pub use boot_files::{BootFiles, export_boot_files};
pub use bootloader::{Bootloader, LoaderFiles};
pub use create::{CreateReport, CreateRequest, create};
pub use disk::Format;
pub use error::{ImageError, Result};
pub use filesystem::Filesystem;
pub use layout::{Layout, Partition, Role};
pub use missing::Missing;
pub use place::Place;
pub use rollback::{RollbackReport, plan_rollback, rollback};
pub use session::{Surroundings, plan_spare, prepare_spare};
pub use snapshot::{Snapshot, SnapshotMethod, existing_snapshot, restore_snapshot};
pub use status::{ImageStatus, status};
pub use update::{UpdatePlan, UpdateReport, UpdateRequest, plan_update, update};
