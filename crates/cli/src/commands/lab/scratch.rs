//! A directory for everything a demonstration makes, gone when it is over.

use std::path::{Path, PathBuf};

use trefoil_fsat::{Dir, Fs};

use crate::error::{CliError, Context as _, Result};

/// Marks a directory as ours to delete.
const MARK: &str = "made-by-trefoil";

/// A directory `PREFIX.PID` that is removed with all that is in it when the value is dropped.
#[derive(Debug)]
pub struct Scratch {
    parent: Dir,
    name: String,
    keep: bool,
    /// The user who runs this: owner and group of what we make.
    pub owner: (u32, u32),
}

impl Scratch {
    /// Makes the directory below `parent`, and removes what interrupted runs left there.
    ///
    /// # Errors
    /// No directory can be made there, or the file system knows no hard links.
    pub fn create(parent: &Path, prefix: &str, keep: bool) -> Result<Scratch> {
        let parent = Fs::new().open_dir(parent)?;
        let name = format!("{prefix}.{}", std::process::id());
        parent.mkdir(&name, 0o755)?;
        let stat = parent.stat(&name)?;
        let scratch = Scratch { parent, name, keep, owner: (stat.uid, stat.gid) };
        let dir = scratch.dir()?;
        dir.write(MARK, b"", 0o600)?;
        dir.link(MARK, &dir, "link").context(format!(
            "{} cannot hold repository and deployments; name another place with --dir",
            scratch.path().display()
        ))?;
        dir.unlink("link")?;
        scratch.remove_leftovers(prefix)?;
        Ok(scratch)
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }

    /// A handle to it, with an account of its own.
    pub fn dir(&self) -> Result<Dir> {
        Ok(self.parent.open_dir(&self.name)?)
    }

    /// Fails where less than `needed` bytes are left.
    pub fn require_space(&self, needed: u64) -> Result<()> {
        let available = self.parent.space()?.available_bytes();
        if available >= needed {
            return Ok(());
        }
        Err(CliError::failed(format!(
            "{} has {} MB left and {} MB are needed: name another place with --dir, or a smaller tree",
            self.parent.path().display(),
            available / 1_000_000,
            needed / 1_000_000
        )))
    }

    /// Removes a marked directory, the mark last: interrupted, it can be found again.
    fn remove(&self, name: &str) -> Result<()> {
        let dir = self.parent.open_dir(name)?;
        let children = dir.entries()?;
        std::thread::scope(|scope| {
            for child in children.iter().filter(|child| child.name != MARK) {
                scope.spawn(|| drop(dir.remove_all(&child.name)));
            }
        });
        // Nothing but the mark is left, unless a removal failed.
        if dir.entries()?.len() == 1 {
            self.parent.remove_all(name)?;
        }
        Ok(())
    }

    fn remove_leftovers(&self, prefix: &str) -> Result<()> {
        for entry in self.parent.entries()? {
            let Some(name) = entry.name.to_str() else { continue };
            let Some(pid) = name.strip_prefix(prefix).and_then(|n| n.strip_prefix('.')) else {
                continue;
            };
            let number = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
            if !number || Path::new("/proc").join(pid).exists() {
                continue;
            }
            let stat = self.parent.stat(name)?;
            let marked = || self.parent.exists(format!("{name}/{MARK}"));
            if stat.is_dir() && stat.uid == self.owner.0 && marked()? {
                // Somebody else may be removing it at the same time.
                let _ = self.remove(name);
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // What stays is found by the next run.
        let _ = self.remove(&self.name);
    }
}
