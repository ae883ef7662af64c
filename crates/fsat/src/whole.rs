//! Files that are read or replaced as a whole.

use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::dir::optional;
use crate::ops::Op;
use crate::{Dir, File, Result};

impl Dir {
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
            rustix::fs::openat2(self.fd(), rel, flags, Mode::empty(), ResolveFlags::BENEATH)
        });
        match optional(opened)? {
            None => Ok(None),
            Some(fd) => {
                File::new(fd, self.fs().clone(), self.path().join(rel)).read_all(limit).map(Some)
            }
        }
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
