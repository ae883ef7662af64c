use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::ops::Op;
use crate::{Dir, File, FsError, Result};

/// Most lists and values fit; larger ones are asked for their size first.
const FIRST_GUESS: usize = 256;

/// Names and values, in the order of the file system.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Calls `get` with a buffer that grows until the answer fits. A value that changes its size
/// between two calls is simply asked for again.
fn sized(
    mut get: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; FIRST_GUESS];
    loop {
        match get(&mut buffer) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => {
                let need = get(&mut [])?;
                buffer.resize(need.max(buffer.len() * 2), 0);
            }
            Err(e) => return Err(e),
        }
    }
}

fn all(
    list: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
    mut get: impl FnMut(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Attributes> {
    let names = match sized(list) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut out = Vec::new();
    for name in names.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        match sized(|buffer| get(name, buffer)) {
            Ok(value) => out.push((name.to_vec(), value)),
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(out)
}

impl File {
    /// All extended attributes of the open file.
    pub fn xattrs(&self) -> Result<Attributes> {
        self.fs().count(Op::GetXattr);
        all(
            |buffer| rustix::fs::flistxattr(self.as_fd(), buffer),
            |name, buffer| rustix::fs::fgetxattr(self.as_fd(), name, buffer),
        )
        .map_err(|e| FsError::new(Op::GetXattr.word(), self.path(), e))
    }

    /// One extended attribute of the open file, or `None` where it has none of that name.
    pub fn xattr(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.fs().count(Op::GetXattr);
        match sized(|buffer| rustix::fs::fgetxattr(self.as_fd(), name, buffer)) {
            Ok(value) => Ok(Some(value)),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(e) => Err(FsError::new(Op::GetXattr.word(), self.path(), e)),
        }
    }

    /// Sets an extended attribute of a file that the caller made.
    pub fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<()> {
        self.run(Op::SetXattr, || {
            rustix::fs::fsetxattr(self.as_fd(), name, value, XattrFlags::empty())
        })
    }
}

impl Dir {
    /// All extended attributes of this directory.
    pub fn xattrs(&self) -> Result<Attributes> {
        self.fs().count(Op::GetXattr);
        all(
            |buffer| rustix::fs::flistxattr(self.fd(), buffer),
            |name, buffer| rustix::fs::fgetxattr(self.fd(), name, buffer),
        )
        .map_err(|e| FsError::new(Op::GetXattr.word(), self.path(), e))
    }

    /// All extended attributes of `name`, a symbolic link itself and not its target.
    pub fn xattrs_of(&self, name: impl AsRef<Path>) -> Result<Attributes> {
        self.fs().count(Op::GetXattr);
        let path = self.magic(name.as_ref());
        all(
            |buffer| rustix::fs::llistxattr(&path, buffer),
            |key, buffer| rustix::fs::lgetxattr(&path, key, buffer),
        )
        .map_err(|e| FsError::new(Op::GetXattr.word(), self.path().join(name.as_ref()), e))
    }

    /// Sets an extended attribute of this directory.
    pub fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<()> {
        self.run(Op::SetXattr, "", || {
            rustix::fs::fsetxattr(self.fd(), name, value, XattrFlags::empty())
        })
    }

    /// Removes an extended attribute of this directory; fine if it has none.
    pub fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.run(Op::SetXattr, "", || match rustix::fs::fremovexattr(self.fd(), name) {
            Err(Errno::NODATA) => Ok(()),
            other => other,
        })
    }

    /// Sets an extended attribute of a symbolic link that the caller made.
    pub fn set_xattr_of_new(&self, name: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let path = self.magic(Path::new(name));
        self.run(Op::SetXattr, name, || {
            rustix::fs::lsetxattr(&path, key, value, XattrFlags::empty())
        })
    }

    /// The path of `name` through this directory's handle: attributes have no call that takes
    /// a handle and a name before Linux 6.13.
    fn magic(&self, name: &Path) -> PathBuf {
        Path::new("/proc/self/fd").join(self.fd().as_raw_fd().to_string()).join(name)
    }
}
