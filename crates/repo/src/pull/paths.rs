use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;

use crate::{RepoError, Result};

const BARE_USER_ONLY_BITS: u32 = 0o775;
const PERMISSIONS: u32 = 0o7777;

/// Whether a file is in, or is, one of the wanted paths; where none is named, all are.
pub(super) fn wants_file(subdirs: &[String], dir: &str, name: &str) -> bool {
    subdirs.is_empty() || {
        let path = format!("{dir}{name}");
        subdirs.iter().any(|sub| {
            let sub = sub.trim_end_matches('/');
            path == sub || path.strip_prefix(sub).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// Whether a directory is in one of the wanted paths or on the way to it.
pub(super) fn wants_dir(subdirs: &[String], path: &str) -> bool {
    subdirs.is_empty()
        || subdirs.iter().any(|sub| {
            let sub = format!("{}/", sub.trim_end_matches('/'));
            path.starts_with(&sub) || sub.starts_with(path)
        })
}

/// Refuses a file that `bare-user-only` could not hold.
pub(super) fn refuse_unsafe_mode(checksum: &Checksum, header: &FileHeader) -> Result<()> {
    let bits = header.mode & PERMISSIONS & !BARE_USER_ONLY_BITS;
    if header.is_regular() && bits != 0 {
        let (checksum, mode) = (*checksum, header.mode);
        return Err(RepoError::BareUserOnlyMode { checksum, mode, bits });
    }
    Ok(())
}
