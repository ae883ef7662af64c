//! Files of keys that an administrator put somewhere: symbolic links are followed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use trefoil_fsat::{FileKind, Fs};
use trefoil_sign::{SignType, Verifier};

use super::{VerifyError, VerifyResult};
use crate::RepoError;

/// Largest file of keys.
const KEY_FILE_LIMIT: u64 = 16 << 20;
const LINK_DEPTH: usize = 8;

/// The content of a file of keys.
///
/// # Errors
/// It is not there, no regular file, or larger than 16 MiB.
pub fn key_file(fs: &Fs, path: &Path) -> VerifyResult<Vec<u8>> {
    read(fs, path, KEY_FILE_LIMIT)?.ok_or_else(|| not_regular(path))
}

fn not_regular(path: &Path) -> VerifyError {
    let text = format!("File object '{}' is not a regular file", path.display());
    RepoError::Refused(text).into()
}

/// The content of a regular file, `None` where there is none of that name.
pub(super) fn read(fs: &Fs, path: &Path, limit: u64) -> VerifyResult<Option<Vec<u8>>> {
    let mut path = path.to_path_buf();
    for _ in 0..LINK_DEPTH {
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().ends_with(b"/") {
            return Ok(None);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(not_regular(&path));
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = match fs.open_dir(parent) {
            Ok(dir) => dir,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(RepoError::from(error).into()),
        };
        let kind = dir.stat_opt(name).map_err(RepoError::from)?.map(|stat| stat.kind());
        match kind {
            None => return Ok(None),
            Some(FileKind::Regular) => {
                return Ok(Some(dir.read(name, limit).map_err(RepoError::from)?));
            }
            Some(FileKind::Symlink) => {
                let target = dir.read_link(name).map_err(RepoError::from)?;
                path = parent.join(Path::new(bytes_as_path(&target)));
            }
            Some(_) => return Err(not_regular(&path)),
        }
    }
    Err(RepoError::Refused(format!("too many symbolic links at {}", path.display())).into())
}

fn bytes_as_path(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// The keys of the system: `trusted.TYPE` and the files in `trusted.TYPE.d` of each directory,
/// without those in `revoked.TYPE` and `revoked.TYPE.d`. As in libostree, files that cannot be
/// used are passed over; of a file of revoked keys that means less is refused, so keep them
/// readable.
pub(super) fn add_system_keys(verifier: &mut Verifier, fs: &Fs, dirs: &[PathBuf]) {
    let ty = verifier.ty();
    for (role, trusted) in [("trusted", true), ("revoked", false)] {
        for dir in dirs {
            for path in key_files(fs, dir, &format!("{role}.{ty}")) {
                let Ok(content) = key_file(fs, &path) else { continue };
                let _ = match trusted {
                    true => verifier.trust_file(&content),
                    false => verifier.revoke_file(&content),
                };
            }
        }
    }
}

/// `DIR/NAME` and what is in `DIR/NAME.d`.
fn key_files(fs: &Fs, dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut files = vec![dir.join(name)];
    let below = dir.join(format!("{name}.d"));
    let entries = fs.open_dir(&below).and_then(|dir| dir.sorted_entries());
    files.extend(entries.into_iter().flatten().map(|entry| below.join(entry.name)));
    files
}

/// A verifier with the keys of one file, or of the system's directories.
///
/// # Errors
/// The file cannot be read or has no key in it; there is no key at all.
pub fn key_verifier(
    fs: &Fs,
    ty: SignType,
    file: Option<&Path>,
    dirs: &[PathBuf],
) -> VerifyResult<Verifier> {
    let mut verifier = Verifier::new(ty);
    match file {
        Some(path) => {
            verifier.trust_file(&key_file(fs, path)?)?;
        }
        None => add_system_keys(&mut verifier, fs, dirs),
    }
    match verifier.is_empty() {
        true => Err(trefoil_sign::SignError::NoKeys { ty }.into()),
        false => Ok(verifier),
    }
}
