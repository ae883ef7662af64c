use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, File};

use super::Transaction;
use super::stream::pieces;
use crate::{RepoMode, Result};

const PERMISSIONS: u32 = 0o7777;

impl Transaction<'_> {
    /// Moves the regular file `name` of `dir`, open as `file`, into the repository as the
    /// object that it is with `header` (`--consume`). `None` where it cannot be moved: it is
    /// untouched then, but `file` has been read.
    ///
    /// The caller knows that in mode `bare` the inode has exactly the metadata of `header`, and
    /// that nobody writes the file any more. Other hard links to it stay, as in libostree, and
    /// share the inode with the object from now on.
    pub(crate) fn adopt_file(
        &self,
        header: &FileHeader,
        dir: &Dir,
        name: &str,
        file: &File,
    ) -> Result<Option<Checksum>> {
        let stage = self.stage()?;
        let (checksum, size) = pieces(header, &mut &*file, |_| Ok(()))?;
        let object = ObjectName::new(checksum, ObjectType::File);
        let present = self.has_object(&object)?;
        if !present && !self.has_mode(header, file)? {
            return Ok(None);
        }
        if present || !self.claim(object)? {
            dir.unlink(name)?;
        } else if let Err(e) = dir.rename(name, stage.dir(), stage.path_of(&object)?) {
            self.staged.lock().expect("no holder panics").remove(&object);
            return if e.is_cross_device() { Ok(None) } else { Err(e.into()) };
        } else {
            self.count_written(size);
        }
        self.tally.content_total.fetch_add(1, Relaxed);
        Ok(Some(checksum))
    }

    /// Whether the inode has the permission bits of `header`, which it is given where no other
    /// name shares it.
    fn has_mode(&self, header: &FileHeader, file: &File) -> Result<bool> {
        let stat = file.stat()?;
        let same = stat.mode & PERMISSIONS == header.mode & PERMISSIONS;
        if !same && self.repo.mode() == RepoMode::BareUserOnly && stat.nlink == 1 {
            file.set_mode(header.mode)?;
            return Ok(true);
        }
        Ok(same)
    }
}
