use std::path::Path;

use crate::{Dir, FileKind, Result};

/// How many names of each kind a removal took away.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Directories.
    pub dirs: u64,
    /// Everything else.
    pub files: u64,
}

impl Removed {
    /// Adds the numbers of another removal.
    pub fn add(&mut self, other: Removed) {
        self.dirs += other.dirs;
        self.files += other.files;
    }
}

impl Dir {
    /// Removes `rel` and, where it is a directory, all beneath it; fine if there is nothing.
    /// Symbolic links are removed, never followed. Interrupted, it leaves a part of the tree;
    /// calling it again finishes the work.
    pub fn remove_all(&self, rel: impl AsRef<Path>) -> Result<Removed> {
        let rel = rel.as_ref();
        let mut removed = Removed::default();
        let Some(stat) = self.stat_opt(rel)? else { return Ok(removed) };
        if stat.is_dir() {
            let dir = self.open_dir(rel)?;
            dir.remove_contents(&mut removed)?;
            self.rmdir(rel)?;
            removed.dirs += 1;
        } else if self.unlink_opt(rel)? {
            removed.files += 1;
        }
        Ok(removed)
    }

    /// Removes everything beneath this directory and adds it to `removed`.
    pub fn remove_contents(&self, removed: &mut Removed) -> Result<()> {
        let entries = self.entries()?;
        if !entries.is_empty() {
            self.make_writable()?;
        }
        for entry in entries {
            if entry.kind == FileKind::Directory {
                self.open_dir(&entry.name)?.remove_contents(removed)?;
                self.rmdir(&entry.name)?;
                removed.dirs += 1;
            } else {
                self.unlink(&entry.name)?;
                removed.files += 1;
            }
        }
        Ok(())
    }

    /// An ordinary user cannot empty a directory that forbids writing; root can.
    fn make_writable(&self) -> Result<()> {
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let mode = self.stat_self()?.mode;
        if mode & 0o300 == 0o300 { Ok(()) } else { self.set_mode(mode | 0o700) }
    }
}
