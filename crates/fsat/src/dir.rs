use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
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
    fn beneath<T>(
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

    /// The whole content of a file; `too large` where it has more than `limit` bytes.
    pub fn read(&self, rel: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        self.open_file(rel)?.read_all(limit)
    }

    /// As [`Dir::read`], `None` where nothing has that name.
    pub fn read_opt(&self, rel: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        optional(self.read(rel, limit))
    }

    /// As [`Dir::read_opt`], but follows symbolic links as long as they stay beneath this
    /// directory: refs may be links to other refs.
    pub fn read_beneath_opt(&self, rel: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        let rel = rel.as_ref();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = self.run(Op::Open, rel, || {
            rustix::fs::openat2(&self.fd, rel, flags, Mode::empty(), ResolveFlags::BENEATH)
        });
        match optional(opened)? {
            None => Ok(None),
            Some(fd) => {
                File::new(fd, self.fs.clone(), self.path.join(rel)).read_all(limit).map(Some)
            }
        }
    }

    /// Makes a directory with exactly these permission bits; fails where the name is taken.
    pub fn mkdir(&self, rel: impl AsRef<Path>, mode: u32) -> Result<()> {
        let rel = rel.as_ref();
        let mode = Mode::from_raw_mode(mode & 0o7777);
        self.run(Op::Mkdir, rel, || {
            self.beneath(rel, |dir, name| rustix::fs::mkdirat(dir, name, mode))
        })
    }

    /// Makes a directory unless there is one; false where there was.
    pub fn ensure_dir(&self, rel: impl AsRef<Path>, mode: u32) -> Result<bool> {
        match self.mkdir(rel.as_ref(), mode) {
            Ok(()) => Ok(true),
            Err(e) if e.is_exists() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Makes a directory and those above it as needed.
    pub fn ensure_dirs(&self, rel: impl AsRef<Path>, mode: u32) -> Result<()> {
        let rel = rel.as_ref();
        match self.ensure_dir(rel, mode) {
            Err(e) if e.is_not_found() => match rel.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => {
                    self.ensure_dirs(parent, mode)?;
                    self.ensure_dir(rel, mode).map(drop)
                }
                _ => Err(e),
            },
            other => other.map(drop),
        }
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, rel: impl AsRef<Path>) -> Result<()> {
        let rel = rel.as_ref();
        let flags = AtFlags::REMOVEDIR;
        self.run(Op::Rmdir, rel, || {
            self.beneath(rel, |dir, name| rustix::fs::unlinkat(dir, name, flags))
        })
    }

    /// Removes a name that is not a directory.
    pub fn unlink(&self, rel: impl AsRef<Path>) -> Result<()> {
        let rel = rel.as_ref();
        let flags = AtFlags::empty();
        self.run(Op::Unlink, rel, || {
            self.beneath(rel, |dir, name| rustix::fs::unlinkat(dir, name, flags))
        })
    }

    /// As [`Dir::unlink`]; false where nothing has that name.
    pub fn unlink_opt(&self, rel: impl AsRef<Path>) -> Result<bool> {
        Ok(optional(self.unlink(rel))?.is_some())
    }

    /// Renames `from` here to `to` in `target`, replacing what has that name. Atomic, not
    /// durable.
    pub fn rename(&self, from: impl AsRef<Path>, target: &Dir, to: impl AsRef<Path>) -> Result<()> {
        self.rename_with(from.as_ref(), target, to.as_ref(), RenameFlags::empty())
    }

    /// As [`Dir::rename`], but fails with `EEXIST` where the new name is taken.
    pub fn rename_noreplace(
        &self,
        from: impl AsRef<Path>,
        target: &Dir,
        to: impl AsRef<Path>,
    ) -> Result<()> {
        self.rename_with(from.as_ref(), target, to.as_ref(), RenameFlags::NOREPLACE)
    }

    /// Swaps two names in one step.
    pub fn exchange(
        &self,
        from: impl AsRef<Path>,
        target: &Dir,
        to: impl AsRef<Path>,
    ) -> Result<()> {
        self.rename_with(from.as_ref(), target, to.as_ref(), RenameFlags::EXCHANGE)
    }

    fn rename_with(&self, from: &Path, target: &Dir, to: &Path, flags: RenameFlags) -> Result<()> {
        target.run(Op::Rename, to, || {
            self.beneath(from, |dir, from| {
                target.beneath(to, |target, to| match flags.is_empty() {
                    true => rustix::fs::renameat(dir, from, target, to),
                    false => rustix::fs::renameat_with(dir, from, target, to, flags),
                })
            })
        })
    }

    /// Makes a hard link to `from` here as `to` in `target`; fails where the name is taken.
    pub fn link(&self, from: impl AsRef<Path>, target: &Dir, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        target.run(Op::Link, to, || {
            target.beneath(to, |target, to| {
                rustix::fs::linkat(&self.fd, from, target, to, AtFlags::empty())
            })
        })
    }

    /// Makes a symbolic link; fails where the name is taken.
    pub fn symlink(&self, target: impl AsRef<Path>, rel: impl AsRef<Path>) -> Result<()> {
        let rel = rel.as_ref();
        self.run(Op::Symlink, rel, || {
            self.beneath(rel, |dir, name| rustix::fs::symlinkat(target.as_ref(), dir, name))
        })
    }

    /// Makes the character device 0:0 that overlayfs reads as "deleted here".
    pub fn make_whiteout(&self, rel: impl AsRef<Path>, mode: u32) -> Result<()> {
        let rel = rel.as_ref();
        let mode = Mode::from_raw_mode(mode & 0o7777);
        self.run(Op::Mknod, rel, || {
            let kind = rustix::fs::FileType::CharacterDevice;
            self.beneath(rel, |dir, name| rustix::fs::mknodat(dir, name, kind, mode, 0))
        })
    }

    /// Sets or clears the immutable bit of this directory. False where the file system has no
    /// such bit or the caller may not change it, which libostree lets pass too.
    pub fn set_immutable(&self, on: bool) -> Result<bool> {
        let tried = self.run(Op::SetFlags, "", || {
            let old = rustix::fs::ioctl_getflags(&self.fd)?;
            let mut new = old;
            new.set(rustix::fs::IFlags::IMMUTABLE, on);
            if new == old { Ok(()) } else { rustix::fs::ioctl_setflags(&self.fd, new) }
        });
        let tolerated = [Errno::PERM, Errno::NOTTY, Errno::NOTSUP, Errno::INVAL, Errno::NOSYS];
        match tried {
            Ok(()) => Ok(true),
            Err(e) if tolerated.iter().any(|t| e.errno() == Some(t.raw_os_error())) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Syncs this directory: its names become durable.
    pub fn sync(&self) -> Result<()> {
        self.run(Op::Sync, "", || rustix::fs::fsync(&self.fd))
    }

    /// Syncs the whole file system this directory lies on.
    pub fn sync_fs(&self) -> Result<()> {
        self.run(Op::SyncFs, "", || rustix::fs::syncfs(&self.fd))
    }

    /// Replaces the symbolic link `rel` (a single component) in one step and syncs this
    /// directory. A leftover of an interrupted call, `rel.tmp`, is replaced.
    pub fn replace_symlink_durable(&self, target: impl AsRef<Path>, rel: &str) -> Result<()> {
        let temp = format!("{rel}.tmp");
        self.unlink_opt(&temp)?;
        self.symlink(target, &temp)?;
        self.rename(&temp, self, rel)?;
        self.sync()
    }

    /// Replaces the content of `rel` (a single component) in one step: a new file, then a
    /// rename. Not durable. The caller sees to it that nobody else replaces the same file
    /// meanwhile: a leftover of an interrupted call, `.rel.tmp`, is replaced.
    pub fn write(&self, rel: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.write_temp(rel, bytes, mode, false)
    }

    /// As [`Dir::write`], and syncs the file before the rename and this directory after it.
    pub fn write_durable(&self, rel: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.write_temp(rel, bytes, mode, true)?;
        self.sync()
    }

    /// Removes what a call of [`Dir::write`] for `rel` left that was interrupted: for names that
    /// may never be written again. True where there was something.
    pub fn unlink_unfinished(&self, rel: &str) -> Result<bool> {
        self.unlink_opt(unfinished(rel))
    }

    fn write_temp(&self, rel: &str, bytes: &[u8], mode: u32, sync: bool) -> Result<()> {
        let temp = unfinished(rel);
        self.unlink_opt(&temp)?;
        let file = self.create_file(&temp, mode)?;
        let filled = || {
            file.write_all(bytes)?;
            if sync {
                file.sync()?;
            }
            self.rename(&temp, self, rel)
        };
        filled().inspect_err(|_| {
            // The error that counts is the first.
            let _ = self.unlink_opt(&temp);
        })
    }
}

/// The name of a file that is to become `rel`.
fn unfinished(rel: &str) -> String {
    format!(".{rel}.tmp")
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
