//! The bits of `st_mode` that objects may hold.

use crate::error::{FormatError, Result};

/// Mask of the file type.
pub const S_IFMT: u32 = 0o170_000;
/// A directory.
pub const S_IFDIR: u32 = 0o040_000;
/// A regular file.
pub const S_IFREG: u32 = 0o100_000;
/// A symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// Permissions with set-user-ID, set-group-ID and sticky bit.
pub const ALL_PERMISSIONS: u32 = 0o7777;

/// Checks that `mode` has one of the `types` and no bits beyond type and permissions.
pub(crate) fn check(mode: u32, types: &[u32], what: &'static str) -> Result<()> {
    if !types.contains(&(mode & S_IFMT)) {
        return Err(FormatError::invalid(what, format!("mode {mode:#o}: wrong type of file")));
    }
    if mode & !(S_IFMT | ALL_PERMISSIONS) != 0 {
        return Err(FormatError::invalid(what, format!("mode {mode:#o}: invalid bits in mode")));
    }
    Ok(())
}
