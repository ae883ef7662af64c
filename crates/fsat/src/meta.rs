use std::os::fd::AsRawFd;

use rustix::fs::{AtFlags, Mode, OFlags, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::ops::Op;
use crate::{Dir, FileKind, Result};

/// A point in time as a file system stores it: seconds since 1970 and nanoseconds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub sec: i64,
    /// Nanoseconds within the second.
    pub nsec: u32,
}

/// The metadata of one inode.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Type and permission bits (`st_mode`).
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number, for device nodes.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last content change.
    pub mtime: Timestamp,
    /// Time of the last change of content or metadata; no call can set it.
    pub ctime: Timestamp,
}

impl Stat {
    /// The type of the inode.
    pub fn kind(&self) -> FileKind {
        FileKind::from_mode(self.mode)
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == FileKind::Directory
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind() == FileKind::Regular
    }

    /// Whether this is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind() == FileKind::Symlink
    }

    /// Device and inode: what makes two names the same file.
    pub fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    pub(crate) fn from_raw(st: &rustix::fs::Stat) -> Stat {
        Stat {
            dev: st.st_dev,
            ino: st.st_ino,
            mode: st.st_mode,
            #[allow(clippy::useless_conversion, reason = "u32 on some architectures")]
            nlink: st.st_nlink.into(),
            uid: st.st_uid,
            gid: st.st_gid,
            rdev: st.st_rdev,
            size: u64::try_from(st.st_size).unwrap_or(0),
            mtime: Timestamp { sec: st.st_mtime, nsec: st.st_mtime_nsec as u32 },
            ctime: Timestamp { sec: st.st_ctime, nsec: st.st_ctime_nsec as u32 },
        }
    }
}

pub(crate) fn mtime_only(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
        last_modification: rustix::fs::Timespec { tv_sec: mtime.sec, tv_nsec: mtime.nsec.into() },
    }
}

pub(crate) fn mtime_now() -> Timestamps {
    Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
        last_modification: rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW as _ },
    }
}

/// Changing the metadata of the directory itself, or of a symbolic link in it.
///
/// There is deliberately no way to change the mode of a named regular file: it might be a
/// hard link into a repository. New files are finished through [`crate::File`].
impl Dir {
    /// Sets the permission bits of this directory.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        self.run(Op::Chmod, "", || rustix::fs::fchmod(self.fd(), mode))
    }

    /// Sets owner and group of this directory.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        self.run(Op::Chown, "", || rustix::fs::fchown(self.fd(), Some(uid), Some(gid)))
    }

    /// Sets the modification time of this directory.
    pub fn set_mtime(&self, mtime: Timestamp) -> Result<()> {
        self.run(Op::SetTimes, "", || rustix::fs::futimens(self.fd(), &mtime_only(mtime)))
    }

    /// Sets the modification time of this directory to the kernel's current time.
    pub fn touch(&self) -> Result<()> {
        self.run(Op::SetTimes, "", || rustix::fs::futimens(self.fd(), &mtime_now()))
    }

    /// Sets owner and group of a symbolic link or device node made by the caller.
    pub fn set_owner_of_new(&self, name: &str, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.run(Op::Chown, name, || {
            rustix::fs::chownat(self.fd(), name, Some(uid), Some(gid), flags)
        })
    }

    /// Sets the modification time of a symbolic link made by the caller.
    pub fn set_mtime_of_new(&self, name: &str, mtime: Timestamp) -> Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.run(Op::SetTimes, name, || {
            rustix::fs::utimensat(self.fd(), name, &mtime_only(mtime), flags)
        })
    }

    /// Sets the permission bits of a device node made by the caller; anything else is refused
    /// with `EINVAL`.
    pub fn set_mode_of_whiteout(&self, name: &str, mode: u32) -> Result<()> {
        let bits = Mode::from_raw_mode(mode & 0o7777);
        self.run(Op::Chmod, name, || {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let node = rustix::fs::openat(self.fd(), name, flags, Mode::empty())?;
            let kind = FileKind::from_mode(rustix::fs::fstat(&node)?.st_mode);
            if kind != FileKind::CharDevice {
                return Err(rustix::io::Errno::INVAL);
            }
            // A handle of that sort has no fchmod; its path leads to this very inode.
            rustix::fs::chmod(format!("/proc/self/fd/{}", node.as_raw_fd()), bits)
        })
    }
}
