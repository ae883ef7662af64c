use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_fsat::{Dir, File};

use crate::{Repo, Result};

/// The new content of a file, below `tmp` until it is published. Dropped before, it goes.
#[derive(Debug)]
pub(crate) struct StagedFile {
    temp: Temp,
    file: File,
    dir: Dir,
    name: String,
}

/// A name below `tmp` that goes with its owner, unless it was renamed.
#[derive(Debug)]
struct Temp {
    repo: Dir,
    path: String,
    renamed: bool,
}

impl Temp {
    fn rename(mut self, dir: &Dir, name: &str) -> Result<()> {
        self.repo.rename(&self.path, dir, name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temp {
    /// What cannot be removed goes when it is old.
    fn drop(&mut self) {
        if !self.renamed {
            let _ = self.repo.unlink_opt(&self.path);
        }
    }
}

impl StagedFile {
    /// Makes the content durable.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync()?)
    }

    /// Gives it its name in one step; makes the name durable if `sync`.
    pub(crate) fn publish(self, sync: bool) -> Result<()> {
        self.temp.rename(&self.dir, &self.name)?;
        if sync {
            self.dir.sync()?;
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
        let staged = self.stage_file(dir.try_clone()?, name.to_string(), bytes)?;
        if sync {
            staged.sync()?;
        }
        staged.publish(sync)
    }

    /// The first half of [`Repo::replace_file`]: nothing is synced yet.
    pub(crate) fn stage_file(&self, dir: Dir, name: String, bytes: &[u8]) -> Result<StagedFile> {
        let (temp, file) = self.unique_temp()?;
        file.write_all(bytes)?;
        Ok(StagedFile { temp, file, dir, name })
    }

    /// As [`Repo::replace_file`] for a symbolic link.
    pub(crate) fn replace_symlink(&self, dir: &Dir, name: &str, target: &str) -> Result<()> {
        loop {
            let path = temp_path("replace");
            match self.dir().symlink(target, &path) {
                Err(e) if e.is_exists() => {}
                made => {
                    made?;
                    self.temp(path)?.rename(dir, name)?;
                    return Ok(dir.sync()?);
                }
            }
        }
    }

    fn unique_temp(&self) -> Result<(Temp, File)> {
        loop {
            let path = temp_path("replace");
            match self.dir().create_file(&path, 0o644) {
                // Of a dead process, or of a live one in another pid namespace.
                Err(e) if e.is_exists() => {}
                made => {
                    let file = made?;
                    return Ok((self.temp(path)?, file));
                }
            }
        }
    }

    fn temp(&self, path: String) -> Result<Temp> {
        Ok(Temp { repo: self.dir().try_clone()?, path, renamed: false })
    }
}

/// A name below `tmp` that no other writer of this process has, and none of another one that
/// lives in the same pid namespace. A dead process may have left something there.
pub(crate) fn temp_path(purpose: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("tmp/{purpose}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}
