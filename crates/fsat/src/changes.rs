//! Names that come, go and move in a held directory.

use std::path::Path;

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use crate::dir::optional;
use crate::ops::Op;
use crate::{Dir, Result};

impl Dir {
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
                rustix::fs::linkat(self.fd(), from, target, to, AtFlags::empty())
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
            let old = rustix::fs::ioctl_getflags(self.fd())?;
            let mut new = old;
            new.set(rustix::fs::IFlags::IMMUTABLE, on);
            if new == old { Ok(()) } else { rustix::fs::ioctl_setflags(self.fd(), new) }
        });
        let tolerated = [Errno::PERM, Errno::NOTTY, Errno::NOTSUP, Errno::INVAL, Errno::NOSYS];
        match tried {
            Ok(()) => Ok(true),
            Err(e) if tolerated.iter().any(|t| e.errno() == Some(t.raw_os_error())) => Ok(false),
            Err(e) => Err(e),
        }
    }
}
