use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, statat};
use rustix::io::Errno;

use crate::ops::Op;
use crate::{Dir, FileKind, Result};

/// What group and others must not have: writing.
const WRITTEN_BY_OTHERS: u32 = 0o022;

/// The directories in a directory where nobody but the user of this process and root makes or
/// changes names: what they were when they were listed they still are, so that files get their
/// places in them by one call each, and no link can come in its way.
///
/// Who controls the file system itself, an image or a server, is held by the kernel: no rename
/// leads from one mount to another, be it through a link.
#[derive(Debug)]
pub struct OwnFolders<'d> {
    dir: &'d Dir,
    names: HashSet<OsString>,
}

impl Dir {
    /// Lists the directories here, `None` where others may make or change names. It stays true
    /// as long as nobody changes the owner and the mode of this directory to let others in.
    pub fn own_folders(&self) -> Result<Option<OwnFolders<'_>>> {
        let stat = self.stat_self()?;
        let ours = stat.uid == 0 || stat.uid == self.fs().effective_user();
        if !ours || stat.mode & WRITTEN_BY_OTHERS != 0 {
            return Ok(None);
        }
        let folders = self.entries()?.into_iter().filter(|e| e.kind == FileKind::Directory);
        Ok(Some(OwnFolders { dir: self, names: folders.map(|e| e.name).collect() }))
    }
}

impl OwnFolders<'_> {
    /// Makes the folder `name` unless it is there. Fails where the name is another thing's.
    pub fn ensure(&mut self, name: &str, mode: u32) -> Result<()> {
        if self.names.contains(OsStr::new(name)) {
            return Ok(());
        }
        if !self.dir.ensure_dir(name, mode)? {
            // Made since, or no directory.
            self.dir.run(Op::Stat, name, || {
                let stat = statat(self.dir.fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
                let kind = FileKind::from_mode(stat.st_mode);
                if kind == FileKind::Directory { Ok(()) } else { Err(Errno::NOTDIR) }
            })?;
        }
        self.names.insert(name.into());
        Ok(())
    }

    /// Renames `from`, a name in `source`, to `to`, which is `FOLDER/NAME`; replaces what has
    /// that name if `replace`, and fails with `EEXIST` if not. Fails with `ENOENT` for a folder
    /// that was neither listed nor made. Atomic, not durable.
    pub fn rename_into(&self, source: &Dir, from: &str, to: &str, replace: bool) -> Result<()> {
        self.dir.run(Op::Rename, to, || {
            let (folder, name) = to.split_once('/').ok_or(Errno::INVAL)?;
            if from.contains('/') || name.contains('/') {
                return Err(Errno::INVAL);
            }
            if !self.names.contains(OsStr::new(folder)) {
                return Err(Errno::NOENT);
            }
            let (source, dir) = (source.fd(), self.dir.fd());
            match replace {
                true => renameat(source, from, dir, to),
                false => renameat_with(source, from, dir, to, RenameFlags::NOREPLACE),
            }
        })
    }
}
