use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_fsat::{Dir, File};

use crate::{Repo, Result};

/// Makes names differ within a process; the process's number does between them.
static NEXT: AtomicU64 = AtomicU64::new(0);

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
        let (temp, file) = self.unique_temp()?;
        let renamed = file.write_all(bytes).and_then(|()| {
            if sync {
                file.sync()?;
            }
            self.dir().rename(&temp, dir, name)
        });
        if let Err(e) = renamed {
            self.dir().unlink_opt(&temp)?;
            return Err(e.into());
        }
        if sync {
            dir.sync()?;
        }
        Ok(())
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
