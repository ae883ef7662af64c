use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Result of a file system operation.
pub type Result<T> = std::result::Result<T, FsError>;

/// A failed file system operation: what was tried, on which path, and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("{op} {}", path.display())]
pub struct FsError {
    /// The operation in words that follow the name of the system call, for example `rename`.
    pub op: &'static str,
    /// The path as the caller knows it.
    pub path: PathBuf,
    /// The error of the operating system.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// Wraps an error of the operating system.
    pub fn new(op: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        FsError { op, path: path.as_ref().to_path_buf(), source: source.into() }
    }

    /// The raw error number, if the operating system gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    fn is(&self, errno: Errno) -> bool {
        self.errno() == Some(errno.raw_os_error())
    }

    /// Nothing has that name (`ENOENT`).
    pub fn is_not_found(&self) -> bool {
        self.is(Errno::NOENT)
    }

    /// Something already has that name (`EEXIST`, or `ENOTEMPTY` for a directory).
    pub fn is_exists(&self) -> bool {
        self.is(Errno::EXIST) || self.is(Errno::NOTEMPTY)
    }

    /// The file system or the quota is full.
    pub fn is_no_space(&self) -> bool {
        self.is(Errno::NOSPC) || self.is(Errno::DQUOT)
    }

    /// The file system is mounted read-only.
    pub fn is_read_only(&self) -> bool {
        self.is(Errno::ROFS)
    }

    /// The caller lacks the permission.
    pub fn is_permission(&self) -> bool {
        self.is(Errno::PERM) || self.is(Errno::ACCESS)
    }

    /// The inode cannot take one more link.
    pub fn is_too_many_links(&self) -> bool {
        self.is(Errno::MLINK)
    }

    /// The kernel or the file system knows no such call or flag.
    pub fn is_unsupported(&self) -> bool {
        self.is(Errno::INVAL) || self.is(Errno::NOSYS) || self.is(Errno::OPNOTSUPP)
    }

    /// A directory stands where a file was asked for, or a file where a directory was.
    pub fn is_directory_mixup(&self) -> bool {
        self.is(Errno::ISDIR) || self.is(Errno::NOTDIR)
    }

    /// Source and destination lie on different file systems.
    pub fn is_cross_device(&self) -> bool {
        self.is(Errno::XDEV)
    }

    /// The name is a symbolic link where none may be (`ELOOP`), or not a directory.
    pub fn is_not_directory(&self) -> bool {
        self.is(Errno::NOTDIR) || self.is(Errno::LOOP)
    }
}
