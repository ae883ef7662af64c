//! The one place that reads the environment.
#![expect(clippy::disallowed_methods, reason = "reading the environment is this module's task")]

use std::ffi::OsString;
use std::path::PathBuf;

/// A variable, `None` where it is unset or not UTF-8.
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that holds a path, `None` where it is unset or empty.
pub fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The search path for programs.
pub fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Which boot of the machine this is; `OSTREE_BOOTID` tells another.
pub fn boot_id() -> Option<String> {
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let id = text("OSTREE_BOOTID").or_else(kernel)?.trim().to_string();
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then_some(id)
}

/// Whether `flag` is in a variable that holds several, such as `OSTREE_REPO_TEST_ERROR`.
pub fn has_flag(name: &str, flag: &str) -> bool {
    text(name).is_some_and(|flags| flags.split([',', ' ', ':']).any(|f| f == flag))
}
