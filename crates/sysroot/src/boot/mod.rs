//! Boot links, loader entries and the two ways to make a new list of deployments active.

mod bootloader;
mod config_files;
mod entries;
mod install;
mod links;
mod os_release;
mod settings;
mod swap;
mod version;

pub use bootloader::Bootloader;
pub use entries::{BootLink, ReadEntry, read_entries};
pub(crate) use install::{entry_name, missing_bytes};
pub use settings::BootSettings;
pub use swap::{SwapKind, SwapReport};
pub(crate) use swap::{needs_bootswap, write_deployments};
pub use version::BootVersion;
