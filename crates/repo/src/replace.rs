use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_fsat::{Dir, File};

use crate::{Repo, RepoError, Result};

/// The new content of a file, below `tmp` until it is published. Dropped before, it goes.
#[derive(Debug)]
pub(crate) struct StagedFile<'d> {
    temp: Temp<'d>,
    file: File,
}

/// A name below `tmp` that goes with its owner, unless it was renamed.
#[derive(Debug)]
struct Temp<'d> {
    from: &'d Dir,
    path: String,
    renamed: bool,
}

impl Temp<'_> {
    fn rename(mut self, dir: &Dir, name: &str) -> Result<()> {
        self.from.rename(&self.path, dir, name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temp<'_> {
    /// What cannot be removed goes when it is old.
    fn drop(&mut self) {
        if !self.renamed {
            let _ = self.from.unlink_opt(&self.path);
        }
    }
}

impl<'d> StagedFile<'d> {
    /// Writes `bytes` to the new file `path` of `from`; nothing is synced yet.
    pub(crate) fn write(from: &'d Dir, path: String, bytes: &[u8]) -> Result<Self> {
        let file = from.create_file(&path, 0o644)?;
        let staged = StagedFile { temp: Temp { from, path, renamed: false }, file };
        staged.file.write_all(bytes)?;
        Ok(staged)
    }

    /// Makes the content durable.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync()?)
    }

    /// Gives it its name in one step; makes the name durable if `sync`.
    pub(crate) fn publish(self, dir: &Dir, name: &str, sync: bool) -> Result<()> {
        self.temp.rename(dir, name)?;
        if sync {
            dir.sync()?;
        }
        Ok(())
    }
}

impl Repo {
    /// Replaces the file `name` of `dir`, a directory of this repository, in one step, durably
    /// if `sync`.
    ///
    /// Needs no lock: the new file is made in `tmp` under a name that no other writer has, as
    /// two commits may move one ref at the same time. What a crash leaves in `tmp` goes with
    /// the other files there that are past their age.
    pub(crate) fn replace_file(
        &self,
        dir: &Dir,
        name: &str,
        bytes: &[u8],
        sync: bool,
    ) -> Result<()> {
        let staged = self.stage_file(bytes)?;
        if sync {
            staged.sync()?;
        }
        staged.publish(dir, name, sync)
    }

    /// The first half of [`Repo::replace_file`]: nothing is synced yet.
    pub(crate) fn stage_file(&self, bytes: &[u8]) -> Result<StagedFile<'_>> {
        loop {
            match StagedFile::write(self.dir(), temp_path("replace"), bytes) {
                // Of a dead process, or of a live one in another pid namespace.
                Err(RepoError::Fs(e)) if e.is_exists() => {}
                staged => return staged,
            }
        }
    }

    /// As [`Repo::replace_file`] for a symbolic link.
    pub(crate) fn replace_symlink(&self, dir: &Dir, name: &str, target: &str) -> Result<()> {
        loop {
            let path = temp_path("replace");
            match self.dir().symlink(target, &path) {
                Err(e) if e.is_exists() => {}
                made => {
                    made?;
                    Temp { from: self.dir(), path, renamed: false }.rename(dir, name)?;
                    return Ok(dir.sync()?);
                }
            }
        }
    }
}

/// A name below `tmp` that no other writer of this process has, and none of another one that
/// lives in the same pid namespace. A dead process may have left something there.
pub(crate) fn temp_path(purpose: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("tmp/{purpose}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}
