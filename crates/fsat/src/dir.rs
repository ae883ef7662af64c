use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::ops::Op;
use crate::{File, Fs, FsError, Result, Stat};

const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A held directory: every access is by a path relative to it.
///
/// A relative path of several components never leaves the directory and passes no symbolic
/// link where something is opened, made, renamed or removed by it. What is looked at or linked
/// from ([`Dir::stat`], [`Dir::read_link`], the first name of [`Dir::link`]) is named through
/// directories that only trusted parties write, which saves two calls for each object; what is
/// put into them in numbers goes through [`OwnFolders`](crate::OwnFolders), which makes sure.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    fs: Fs,
    path: PathBuf,
    read: AtomicBool,
}

impl Dir {
    pub(crate) fn open_root(fs: Fs, path: &Path) -> Result<Dir> {
        let fd = fs.run(
            Op::Open,
            || path.to_path_buf(),
            || rustix::fs::open(path, DIR_FLAGS, Mode::empty()),
        )?;
        Ok(Dir { fd, fs, path: path.to_path_buf(), read: AtomicBool::new(false) })
    }

    /// The account this handle belongs to.
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// The path it was opened by, for messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn was_read(&self) -> bool {
        self.read.swap(true, Relaxed)
    }

    pub(crate) fn run<T>(
        &self,
        op: Op,
        rel: impl AsRef<Path>,
        call: impl FnMut() -> rustix::io::Result<T>,
    ) -> Result<T> {
        self.fs.run(op, || self.path.join(rel.as_ref()), call)
    }

    pub(crate) fn open_raw(&self, rel: &Path, flags: OFlags, mode: u32) -> Result<OwnedFd> {
        let op = if flags.contains(OFlags::CREATE) { Op::Create } else { Op::Open };
        let mode = Mode::from_raw_mode(mode & 0o7777);
        self.run(op, rel, || {
            if !rel.as_os_str().as_encoded_bytes().contains(&b'/') {
                return rustix::fs::openat(&self.fd, rel, flags | OFlags::NOFOLLOW, mode);
            }
            open_beneath(&self.fd, rel, flags, mode)
        })
    }

    /// Calls with the directory that holds the last component of `rel`, and that component.
    pub(crate) fn beneath<T>(
        &self,
        rel: &Path,
        call: impl FnOnce(BorrowedFd<'_>, &Path) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        if !rel.as_os_str().as_encoded_bytes().contains(&b'/') {
            return call(self.fd(), rel);
        }
        let (Some(parent), Some(name)) = (rel.parent(), rel.file_name()) else {
            return Err(Errno::INVAL);
        };
        let parent = open_beneath(&self.fd, parent, DIR_FLAGS | OFlags::PATH, Mode::empty())?;
        call(parent.as_fd(), Path::new(name))
    }

    /// Opens a directory beneath this one, following no symbolic link.
    pub fn open_dir(&self, rel: impl AsRef<Path>) -> Result<Dir> {
        let rel = rel.as_ref();
        let fd = self.open_raw(rel, DIR_FLAGS, 0)?;
        Ok(self.child(fd, rel))
    }

    /// As [`Dir::open_dir`], `None` where nothing has that name.
    pub fn open_dir_opt(&self, rel: impl AsRef<Path>) -> Result<Option<Dir>> {
        optional(self.open_dir(rel))
    }

    /// Opens a directory by a relative path and follows symbolic links, even out of this
    /// directory: for places an administrator may have moved, such as `ostree/repo`.
    pub fn open_dir_following(&self, rel: impl AsRef<Path>) -> Result<Dir> {
        let rel = rel.as_ref();
        let fd = self
            .run(Op::Open, rel, || rustix::fs::openat(&self.fd, rel, DIR_FLAGS, Mode::empty()))?;
        Ok(self.child(fd, rel))
    }

    /// A second handle to the same directory.
    pub fn try_clone(&self) -> Result<Dir> {
        let fd = self.fd.try_clone().map_err(|e| FsError::new("duplicate", &self.path, e))?;
        Ok(Dir {
            fd,
            fs: self.fs.clone(),
            path: self.path.clone(),
            // The handles share one read position.
            read: AtomicBool::new(true),
        })
    }

    fn child(&self, fd: OwnedFd, rel: &Path) -> Dir {
        let path = self.path.join(rel);
        Dir { fd, fs: self.fs.clone(), path, read: AtomicBool::new(false) }
    }

    /// The metadata of this directory.
    pub fn stat_self(&self) -> Result<Stat> {
        self.run(Op::Stat, "", || rustix::fs::fstat(&self.fd)).map(|st| Stat::from_raw(&st))
    }

    /// The metadata of `rel`; of a symbolic link itself.
    pub fn stat(&self, rel: impl AsRef<Path>) -> Result<Stat> {
        let rel = rel.as_ref();
        self.run(Op::Stat, rel, || rustix::fs::statat(&self.fd, rel, AtFlags::SYMLINK_NOFOLLOW))
            .map(|st| Stat::from_raw(&st))
    }

    /// As [`Dir::stat`], `None` where nothing has that name.
    pub fn stat_opt(&self, rel: impl AsRef<Path>) -> Result<Option<Stat>> {
        optional(self.stat(rel))
    }

    /// The metadata of what `rel` leads to, symbolic links followed.
    pub fn stat_following(&self, rel: impl AsRef<Path>) -> Result<Stat> {
        let rel = rel.as_ref();
        self.run(Op::Stat, rel, || rustix::fs::statat(&self.fd, rel, AtFlags::empty()))
            .map(|st| Stat::from_raw(&st))
    }

    /// Whether anything has that name.
    pub fn exists(&self, rel: impl AsRef<Path>) -> Result<bool> {
        Ok(self.stat_opt(rel)?.is_some())
    }

    /// The target of a symbolic link, as stored.
    pub fn read_link(&self, rel: impl AsRef<Path>) -> Result<Vec<u8>> {
        let rel = rel.as_ref();
        self.run(Op::ReadLink, rel, || rustix::fs::readlinkat(&self.fd, rel, Vec::new()))
            .map(std::ffi::CString::into_bytes)
    }

    /// As [`Dir::read_link`], `None` where nothing has that name.
    pub fn read_link_opt(&self, rel: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
        optional(self.read_link(rel))
    }

    /// Opens a file for reading, following no symbolic link.
    pub fn open_file(&self, rel: impl AsRef<Path>) -> Result<File> {
        let rel = rel.as_ref();
        let fd = self.open_raw(rel, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, 0)?;
        Ok(File::new(fd, self.fs.clone(), self.path.join(rel)))
    }

    /// Creates a file that must not exist yet, for writing.
    pub fn create_file(&self, rel: impl AsRef<Path>, mode: u32) -> Result<File> {
        let rel = rel.as_ref();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = self.open_raw(rel, flags, mode)?;
        Ok(File::new(fd, self.fs.clone(), self.path.join(rel)))
    }

    /// Opens an existing file to write at its end.
    pub fn open_append(&self, rel: impl AsRef<Path>) -> Result<File> {
        let rel = rel.as_ref();
        let fd = self.open_raw(rel, OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC, 0)?;
        Ok(File::new(fd, self.fs.clone(), self.path.join(rel)))
    }

    /// Opens an existing file to read it and to write into it in place, which is for disk images
    /// and nothing else: no file of a repository or a deployment is ever written through.
    pub fn open_in_place(&self, rel: impl AsRef<Path>) -> Result<File> {
        let rel = rel.as_ref();
        let fd = self.open_raw(rel, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, 0)?;
        Ok(File::new(fd, self.fs.clone(), self.path.join(rel)))
    }

    /// Syncs this directory: its names become durable.
    pub fn sync(&self) -> Result<()> {
        self.run(Op::Sync, "", || rustix::fs::fsync(&self.fd))
    }

    /// Syncs the whole file system this directory lies on.
    pub fn sync_fs(&self) -> Result<()> {
        self.run(Op::SyncFs, "", || rustix::fs::syncfs(&self.fd))
    }
}

/// Opens a path that stays beneath the directory and leads through no symbolic link.
fn open_beneath(
    dir: impl AsFd,
    rel: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(&dir, rel, flags, mode, resolve) {
            // A rename elsewhere made the kernel unsure; it asks to try again.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

/// Turns "nothing has that name" into `None`.
pub(crate) fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}
