//! The one place that reads the environment.
#![expect(clippy::disallowed_methods, reason = "reading the environment is this module's task")]

use std::ffi::OsString;
use std::io::Read;
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
    // Asked by nearly every verb, and short: one read is all of it.
    let kernel = || {
        let mut text = [0; 64];
        let file = std::fs::File::open("/proc/sys/kernel/random/boot_id").ok()?;
        let len = (&file).read(&mut text).ok()?;
        String::from_utf8(text[..len].to_vec()).ok()
    };
    let id = text("OSTREE_BOOTID").or_else(kernel)?.trim().to_string();
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then_some(id)
}

/// Whether `flag` is in a variable that holds several, such as `OSTREE_REPO_TEST_ERROR`.
pub fn has_flag(name: &str, flag: &str) -> bool {
    text(name).is_some_and(|flags| flags.split([',', ' ', ':']).any(|f| f == flag))
}

/// What the machine is called.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_string() } else { name.to_string() }
}

/// Milliseconds since the kernel started.
pub fn uptime_ms() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some((seconds * 1000.0) as u64)
}

/// The value of the kernel argument `name`, the last where there are several.
pub fn kernel_argument(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/cmdline").ok()?;
    let values = text.split_ascii_whitespace().filter_map(|word| word.strip_prefix(name));
    values.filter_map(|rest| rest.strip_prefix('=')).next_back().map(str::to_string)
}
