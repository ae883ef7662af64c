//! Writes a delta to where it belongs.

use trefoil_delta::DeltaName;
use trefoil_fsat::Dir;

use super::DeltaPlace;
use crate::replace::temp_path;
use crate::{Repo, Result};

const SUPERBLOCK: &str = "superblock";
const DIR_MODE: u32 = 0o775;
const FILE_MODE: u32 = 0o644;

/// A delta on its way to disk.
///
/// In the repository it is put together in `tmp` and takes its place in one step, so that
/// nobody sees a superblock without its parts. What is left there after a crash goes with the
/// other files in `tmp` that are past their age.
pub(super) struct Output<'a> {
    repo: &'a Repo,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Repo { temp: String, dir: Dir, place: String, done: bool },
    File { dir: &'a Dir, name: &'a str },
}

impl<'a> Output<'a> {
    pub fn begin(repo: &'a Repo, name: &DeltaName, place: DeltaPlace<'a>) -> Result<Self> {
        let kind = match place {
            DeltaPlace::File(dir, name) => Kind::File { dir, name },
            DeltaPlace::Repo => {
                repo.dir().ensure_dir("tmp", DIR_MODE)?;
                let temp = temp_path("delta");
                // Of a dead process with the same number.
                repo.dir().remove_all(&temp)?;
                repo.dir().mkdir(&temp, 0o755)?;
                let dir = repo.dir().open_dir(&temp)?;
                Kind::Repo { temp, dir, place: name.dir(), done: false }
            }
        };
        Ok(Output { repo, kind })
    }

    /// Writes a part.
    pub fn part(&self, index: usize, bytes: &[u8]) -> Result<()> {
        match &self.kind {
            Kind::Repo { dir, .. } => self.write_new(dir, &index.to_string(), bytes),
            Kind::File { dir, .. } => {
                Ok(dir.write_durable(&index.to_string(), bytes, FILE_MODE)?)
            }
        }
    }

    fn write_new(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
        let file = dir.create_file(name, FILE_MODE)?;
        file.set_mode(FILE_MODE)?;
        file.write_all(bytes)?;
        if self.repo.config().fsync {
            file.sync()?;
        }
        Ok(())
    }

    /// Writes the superblock and gives everything its place.
    pub fn finish(mut self, superblock: &[u8]) -> Result<()> {
        let (temp, place) = match &self.kind {
            Kind::File { dir, name } => {
                return Ok(dir.write_durable(name, superblock, FILE_MODE)?);
            }
            Kind::Repo { temp, dir, place, .. } => {
                self.write_new(dir, SUPERBLOCK, superblock)?;
                if self.repo.config().fsync {
                    dir.sync()?;
                }
                (temp.clone(), place.clone())
            }
        };
        self.place(&temp, &place)?;
        if let Kind::Repo { done, .. } = &mut self.kind {
            *done = true;
        }
        Ok(())
    }

    fn place(&self, temp: &str, place: &str) -> Result<()> {
        let top = self.repo.dir();
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        top.ensure_dirs(parent, DIR_MODE)?;
        match top.rename_noreplace(temp, top, place) {
            Err(e) if e.is_exists() => {
                top.exchange(temp, top, place)?;
                top.remove_all(temp)?;
            }
            other => other?,
        }
        if self.repo.config().fsync {
            top.open_dir(parent)?.sync()?;
        }
        Ok(())
    }
}

impl Drop for Output<'_> {
    /// What cannot be removed is left to age.
    fn drop(&mut self) {
        if let Kind::Repo { temp, done: false, .. } = &self.kind {
            let _ = self.repo.dir().remove_all(temp);
        }
    }
}
