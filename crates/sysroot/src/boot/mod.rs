//! Boot links, loader entries and the two ways to make a new list of deployments active.

mod bootloader;
pub(crate) mod config_files;
mod entries;
mod grub2;
mod install;
mod links;
pub(crate) mod os_release;
mod programs;
mod settings;
mod stamped;
mod swap;
mod version;

pub use bootloader::Bootloader;
pub use entries::{BootLink, ReadEntry, read_entries};
pub use grub2::grub2_config;
pub(crate) use install::{entry_name, install_kernel, missing_bytes};
pub use programs::BootPrograms;
pub use settings::BootSettings;
pub use swap::{SwapKind, SwapReport};
pub(crate) use swap::{needs_bootswap, write_deployments};
pub use version::BootVersion;
