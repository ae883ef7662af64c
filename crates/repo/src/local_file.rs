use std::io::Read;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::file::FileHeader;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Dir, FsError, Stat};

use crate::{RepoError, Result};

/// What to take instead of the metadata that a file in a directory has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Canonical {
    /// Take it as without extended attributes.
    pub no_xattrs: bool,
    /// Take this owner.
    pub uid: Option<u32>,
    /// Take this group.
    pub gid: Option<u32>,
}

/// The checksum that the file, symbolic link or directory `name` has as an object; of a
/// directory that of its metadata.
///
/// # Errors
/// Devices, sockets and fifos, which no object can be; those of the file system.
pub(crate) fn checksum_local(
    dir: &Dir,
    name: impl AsRef<std::path::Path>,
    stat: &Stat,
    canonical: Canonical,
) -> Result<Checksum> {
    let name = name.as_ref();
    let (uid, gid) = (canonical.uid.unwrap_or(stat.uid), canonical.gid.unwrap_or(stat.gid));
    let header =
        |symlink_target, xattrs| FileHeader { uid, gid, mode: stat.mode, symlink_target, xattrs };
    let xattrs = |listed: trefoil_fsat::Result<Vec<(Vec<u8>, Vec<u8>)>>| match listed {
        Ok(listed) => Ok(Xattrs::of_inode(listed)),
        Err(e) => Err(RepoError::from(e)),
    };
    let none = canonical.no_xattrs.then(Xattrs::default);
    if stat.is_dir() {
        let xattrs = none.map_or_else(|| xattrs(dir.open_dir(name)?.xattrs()), Ok)?;
        return Ok(DirMeta { uid, gid, mode: stat.mode, xattrs }.checksum());
    }
    if stat.is_symlink() {
        let target = String::from_utf8(dir.read_link(name)?)
            .map_err(|_| refuse(dir, name, "the target of the symbolic link is not UTF-8"))?;
        let xattrs = none.map_or_else(|| xattrs(dir.xattrs_of(name)), Ok)?;
        return Ok(header(Some(target), xattrs).hasher().finish());
    }
    if !stat.is_file() {
        return Err(refuse(dir, name, stat.kind().word()));
    }
    let file = dir.open_file(name)?;
    let xattrs = none.map_or_else(|| xattrs(file.xattrs()), Ok)?;
    let mut hasher = header(None, xattrs).hasher();
    let mut buffer = vec![0; 128 * 1024];
    let mut reader = &file;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(FsError::new("read", file.path(), e).into()),
        }
    }
}

fn refuse(dir: &Dir, name: &std::path::Path, what: &str) -> RepoError {
    let path = dir.path().join(name);
    RepoError::Refused(format!("{}: Unsupported file type: {what}", path.display()))
}
