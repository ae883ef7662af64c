//! OpenPGP: keyrings, and what becomes of signatures.
//!
//! The verdicts are those `gpg` gives to libostree: a signature counts only if the signature,
//! the key that made it and the certificate of that key are all in force now, not when it was
//! made. Without the feature `gpg` every call fails with [`crate::SignError::GpgDisabled`].

#[cfg(not(feature = "gpg"))]
mod absent;
mod report;
#[cfg(feature = "gpg")]
mod ring;
#[cfg(feature = "gpg")]
mod verdict;
#[cfg(feature = "gpg")]
mod wkd;

#[cfg(not(feature = "gpg"))]
pub use absent::{Keyring, wkd_urls};
pub use report::{KeyInfo, SignatureReport, SignatureState, SubkeyInfo, UserIdInfo};
#[cfg(feature = "gpg")]
pub use ring::Keyring;
#[cfg(feature = "gpg")]
pub use wkd::wkd_urls;

/// The key of OpenPGP signatures in detached metadata and in `summary.sig`.
pub const METADATA_KEY: &str = "ostree.gpgsigs";

/// Largest keyring that is read, in bytes: beyond it nobody keeps trusted keys.
pub const KEYRING_LIMIT: u64 = 64 << 20;
