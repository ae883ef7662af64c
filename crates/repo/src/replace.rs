use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_fsat::{Dir, File};

use crate::{Repo, Result};

/// Makes names differ within a process; the process's number does between them.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The new content of a file, below `tmp` until it is published.
#[derive(Debug)]
pub(crate) struct StagedFile {
    temp: String,
    file: File,
    dir: Dir,
    name: String,
}

impl StagedFile {
    /// Makes the content durable.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync()?)
    }

    /// Gives it its name in one step; makes the name durable if `sync`.
    pub(crate) fn publish(self, repo: &Repo, sync: bool) -> Result<()> {
        if let Err(e) = repo.dir().rename(&self.temp, &self.dir, &self.name) {
            repo.dir().unlink_opt(&self.temp)?;
            return Err(e.into());
        }
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
        staged.publish(self, sync)
    }

    /// The first half of [`Repo::replace_file`]: nothing is synced yet.
    pub(crate) fn stage_file(&self, dir: Dir, name: String, bytes: &[u8]) -> Result<StagedFile> {
        let (temp, file) = self.unique_temp()?;
        if let Err(e) = file.write_all(bytes) {
            self.dir().unlink_opt(&temp)?;
            return Err(e.into());
        }
        Ok(StagedFile { temp, file, dir, name })
    }

    /// As [`Repo::replace_file`] for a symbolic link.
    pub(crate) fn replace_symlink(&self, dir: &Dir, name: &str, target: &str) -> Result<()> {
        loop {
            let temp = temp_path();
            match self.dir().symlink(target, &temp) {
                Err(e) if e.is_exists() => {}
                made => {
                    made?;
                    self.dir().rename(&temp, dir, name)?;
                    return Ok(dir.sync()?);
                }
            }
        }
    }

    fn unique_temp(&self) -> Result<(String, File)> {
        loop {
            let temp = temp_path();
            match self.dir().create_file(&temp, 0o644) {
                // Of a dead process, or of a live one in another pid namespace.
                Err(e) if e.is_exists() => {}
                made => return Ok((temp, made?)),
            }
        }
    }
}

fn temp_path() -> String {
    format!("tmp/replace-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}
