use std::io::Read;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, File, FsError};

use super::{Checkout, CheckoutStats, Overwrite, exists, temp_name};
use crate::{Content, FileObject, RepoError, Result};

/// Setuid and setgid: not given to files of a checkout in user mode.
const SET_ID_BITS: u32 = 0o6000;
const BUFFER: usize = 256 * 1024;

/// How a new name gets into the destination.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Directly; it is an error where the name is taken.
    Direct,
    /// Under a temporary name first, then renamed; an error where the name is taken.
    Add,
    /// Under a temporary name first, then renamed over what is there.
    Replace,
}

impl Checkout<'_> {
    /// Makes `name` in `dir` anew from the object, a regular file or a symbolic link. It keeps
    /// the time it was made at, as in libostree.
    pub(super) fn copy(
        &self,
        dir: &Dir,
        fresh: bool,
        name: &str,
        checksum: &Checksum,
        object: FileObject,
        stats: &mut CheckoutStats,
    ) -> Result<()> {
        let place = match fresh {
            true => Some(Place::Direct),
            false => self.place_for(dir, name, checksum)?,
        };
        let Some(place) = place else {
            stats.kept += 1;
            return Ok(());
        };
        let size = object.size;
        let is_symlink = object.header.symlink_target.is_some();
        let made = self.put(dir, name, place, |name| match is_symlink {
            true => self.make_symlink(dir, name, &object),
            false => self.make_file(dir, name, checksum, object),
        })?;
        match (made, is_symlink) {
            (false, _) => stats.kept += 1,
            (true, true) => stats.symlinks += 1,
            (true, false) => {
                stats.copies += 1;
                stats.bytes_copied += size;
            }
        }
        Ok(())
    }

    /// Decides by what has the name now; `None` to keep that.
    fn place_for(&self, dir: &Dir, name: &str, checksum: &Checksum) -> Result<Option<Place>> {
        let overwrite = self.options.overwrite;
        if overwrite == Overwrite::None {
            return Ok(Some(Place::Direct));
        }
        let Some(existing) = dir.stat_opt(name)? else { return Ok(Some(Place::Add)) };
        match overwrite {
            Overwrite::None => Ok(Some(Place::Direct)),
            Overwrite::AddFiles => Ok(None),
            Overwrite::UnionFiles => {
                self.clear_for_whiteouts(dir, name)?;
                Ok(Some(Place::Replace))
            }
            Overwrite::UnionIdentical => {
                let same = (existing.is_file() || existing.is_symlink())
                    && self.existing_checksum(dir, name, &existing)? == *checksum;
                if same { Ok(None) } else { Err(exists(dir, name)) }
            }
        }
    }

    /// Calls `make` with the name to make and moves that into its place. False where another
    /// process made the name meanwhile and it is to be kept. What cannot be finished is removed.
    fn put(
        &self,
        dir: &Dir,
        name: &str,
        place: Place,
        make: impl FnOnce(&str) -> Result<()>,
    ) -> Result<bool> {
        if place == Place::Direct {
            return make(name).map(|()| true);
        }
        let temp = temp_name();
        dir.unlink_opt(&temp)?;
        let moved = make(&temp).and_then(|()| {
            match place {
                Place::Replace => dir.rename(&temp, dir, name)?,
                _ => dir.rename_noreplace(&temp, dir, name)?,
            }
            Ok(())
        });
        let Err(error) = moved else { return Ok(true) };
        dir.unlink_opt(&temp)?;
        match error {
            RepoError::Fs(e) if e.is_exists() && self.options.overwrite == Overwrite::AddFiles => {
                Ok(false)
            }
            error => Err(error),
        }
    }

    fn make_symlink(&self, dir: &Dir, name: &str, object: &FileObject) -> Result<()> {
        let header = &object.header;
        let target = header.symlink_target.as_deref().expect("the caller asked for one");
        dir.symlink(target, name)?;
        if self.keeps_owner() {
            dir.set_owner_of_new(name, header.uid, header.gid)?;
            for (key, value) in header.xattrs.iter() {
                dir.set_xattr_of_new(name, key, value)?;
            }
        }
        Ok(())
    }

    fn make_file(
        &self,
        dir: &Dir,
        name: &str,
        checksum: &Checksum,
        mut object: FileObject,
    ) -> Result<()> {
        let file = dir.create_file(name, 0o600)?;
        write_content(&file, checksum, &mut object)?;
        let header = &object.header;
        let mut mode = header.mode;
        if self.keeps_owner() {
            file.set_owner(header.uid, header.gid)?;
            for (key, value) in header.xattrs.iter() {
                file.set_xattr(key, value)?;
            }
        } else {
            mode &= !SET_ID_BITS;
        }
        // After the owner: changing that takes setuid and setgid away.
        Ok(file.set_mode(mode)?)
    }
}

/// Fills a new file with the content of an object, and makes sure that it was all of it.
pub(super) fn write_content(
    file: &File,
    checksum: &Checksum,
    object: &mut FileObject,
) -> Result<()> {
    if object.size == 0 {
        return Ok(());
    }
    if let Content::File(source) = &object.content {
        file.copy_from(source)?;
        return Ok(());
    }
    let mut buffer = vec![0; BUFFER];
    let mut written = 0;
    loop {
        let n = match object.content.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(FsError::new("unpack", format!("object {checksum}"), e).into()),
        };
        written += n as u64;
        if written > object.size || (n == 0 && written < object.size) {
            return Err(RepoError::Refused(format!(
                "object {checksum} is corrupt: its content is not of the {} bytes its header says",
                object.size
            )));
        }
        if n == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..n])?;
    }
}
