//! Origin files: where a deployment came from and what it shall follow.

use trefoil_format::keyfile::KeyFile;
use trefoil_fsat::Dir;

use crate::{Result, SysrootError};

/// Largest origin file we read.
const ORIGIN_LIMIT: u64 = 1 << 20;
const TRANSIENT: &str = "libostree-transient";

/// The origin of a deployment that follows `refspec`.
pub fn from_refspec(refspec: &str) -> KeyFile {
    let mut origin = KeyFile::default();
    origin
        .set_string("origin", "refspec", refspec)
        .expect("a constant group and key, and set_string escapes the value");
    origin
}

/// Reads an origin file's text.
pub fn parse(path: &str, bytes: &[u8]) -> Result<KeyFile> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(SysrootError::State(format!("{path} is not UTF-8")));
    };
    KeyFile::parse(text).map_err(|source| SysrootError::KeyFile { path: path.into(), source })
}

/// Reads the origin file at `path` below `sysroot`; `None` where there is none.
pub(crate) fn load(sysroot: &Dir, path: &str) -> Result<Option<KeyFile>> {
    sysroot.read_opt(path, ORIGIN_LIMIT)?.map(|bytes| parse(path, &bytes)).transpose()
}

/// The ref or `REMOTE:REF` an upgrade follows.
pub fn refspec(origin: &KeyFile) -> Option<String> {
    origin.string("origin", "refspec")
}

/// Whether the deployment is pinned.
pub fn is_pinned(origin: &KeyFile) -> bool {
    matches!(origin.bool(TRANSIENT, "pinned"), Some(Ok(true)))
}

/// Sets or clears the pin.
pub fn set_pinned(origin: &mut KeyFile, on: bool) {
    if on {
        origin.set_bool(TRANSIENT, "pinned", true).expect("a constant group and key");
    } else {
        origin.remove_key(TRANSIENT, "pinned");
    }
}

/// Whether the deployment was unlocked for good.
pub fn is_hotfix(origin: &KeyFile) -> bool {
    origin.string("origin", "unlocked").as_deref() == Some("hotfix")
}

/// Says that the deployment was unlocked for good.
pub(crate) fn set_hotfix(origin: &mut KeyFile) {
    origin.set_string("origin", "unlocked", "hotfix").expect("a constant group, key and value");
}

/// Drops what holds for one deployment only and must not pass to the next, as libostree's
/// upgrader does.
pub fn remove_transient_state(origin: &mut KeyFile) {
    origin.remove_group(TRANSIENT);
    for key in ["override-commit", "unlocked"] {
        origin.remove_key("origin", key);
    }
}
