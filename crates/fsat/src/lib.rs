//! The only door to the file system.
//!
//! Every access is relative to a held directory handle ([`Dir`]) and goes through one
//! [`Fs`], which counts what was done ([`Counters`]) and can be told to fail or to die at
//! the n-th mutating operation ([`Fault`]). Symbolic links are not followed unless a
//! method says so.
//!
//! Atomic is not durable: a method that renames says whether it also syncs. Nothing here
//! syncs behind the caller's back except [`Dir::write_durable`] and
//! [`Dir::replace_symlink_durable`].
//!
//! What this crate never does: interpret OSTree formats, print, read the environment.

mod changes;
mod copy;
mod dir;
mod direct;
mod entries;
mod error;
mod file;
mod folders;
mod freeze;
mod lock;
mod meta;
mod mount;
mod ops;
mod remove;
mod space;
pub mod watch;
mod whole;
mod xattr;

pub use copy::CopyMethod;

pub use dir::Dir;
pub use direct::{DirectWriter, Pages};
pub use entries::{DirEntry, FileKind};
pub use error::{FsError, Result};
pub use file::File;
pub use folders::OwnFolders;
pub use freeze::{Freeze, Watchdog, watch};
pub use lock::{Lock, LockMode};
pub use meta::{Stat, Timestamp};
pub use mount::Overlay;
pub use ops::{Counters, Fault, FaultKind, Fs, Op};
pub use remove::Removed;
pub use space::Space;
