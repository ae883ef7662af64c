use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::EntryName;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Dir, File, FileKind, Stat};

use super::import::{Import, Named};
use super::modifier::{Attributes, TreePath};
use crate::{FileSource, RepoError, RepoMode, Result};

impl Import<'_> {
    /// Makes one file or symbolic link an object; `None` where it is left out.
    pub(super) fn file(
        &self,
        dir: &Dir,
        entry: &Named,
        parent: &TreePath<'_>,
    ) -> Result<Option<(EntryName, Checksum)>> {
        let name = entry.name.as_str();
        if self.modifier.devino_canonical
            && let Some(hit) = self.known(&dir.stat(name)?)
        {
            self.note_hit();
            self.discard(dir, name)?;
            return Ok(Some((entry.name.clone(), hit)));
        }
        let path = parent.child(name);
        let checksum = match entry.kind {
            FileKind::Symlink => self.symlink(dir, name, &path)?,
            _ => self.regular(dir, name, &path)?,
        };
        Ok(checksum.map(|checksum| (entry.name.clone(), checksum)))
    }

    fn symlink(&self, dir: &Dir, name: &str, path: &TreePath<'_>) -> Result<Option<Checksum>> {
        let stat = dir.stat(name)?;
        self.note_link(&stat, path);
        let old = Attributes::of(&stat);
        let Some(new) = self.apply(path, old) else {
            self.discard(dir, name)?;
            return Ok(None);
        };
        self.tally.symlinks.fetch_add(1, Relaxed);
        self.note_work(0);
        if let Some(hit) = self.known(&stat).filter(|_| new == old && !self.drops_xattrs) {
            self.note_hit();
            self.discard(dir, name)?;
            return Ok(Some(hit));
        }
        let target = String::from_utf8(dir.read_link(name)?).map_err(|_| {
            RepoError::Refused(format!("Invalid UTF-8 in the target of symbolic link {path}"))
        })?;
        let xattrs = if self.drops_xattrs { Vec::new() } else { dir.xattrs_of(name)? };
        let header = new.header(Some(target), Xattrs::of_inode(xattrs));
        let checksum = self.transaction.write_file(&header, FileSource::Empty)?;
        self.discard(dir, name)?;
        Ok(Some(checksum))
    }

    fn regular(&self, dir: &Dir, name: &str, path: &TreePath<'_>) -> Result<Option<Checksum>> {
        let file = match dir.open_file(name) {
            // What we may not read may still be on the skip list.
            Err(e) if e.is_permission() => {
                return match self.apply(path, Attributes::of(&dir.stat(name)?)) {
                    None => Ok(None),
                    Some(_) => Err(e.into()),
                };
            }
            opened => opened?,
        };
        let stat = file.stat()?;
        if !stat.is_file() {
            return Err(RepoError::Refused(format!("Not a regular file or symlink: {path}")));
        }
        self.note_link(&stat, path);
        let hit = self.known(&stat);
        let (old, recorded) = self.original(&stat, hit.as_ref())?;
        let Some(new) = self.apply(path, old) else {
            self.discard(dir, name)?;
            return Ok(None);
        };
        self.tally.files.fetch_add(1, Relaxed);
        self.note_work(stat.size);
        let unmodified = new == old && !self.drops_xattrs;
        if let Some(hit) = hit.filter(|_| unmodified) {
            self.note_hit();
            self.discard(dir, name)?;
            return Ok(Some(hit));
        }
        let xattrs = match recorded {
            _ if self.drops_xattrs => Xattrs::default(),
            Some(xattrs) => xattrs,
            None => Xattrs::of_inode(file.xattrs()?),
        };
        let header = new.header(None, xattrs);
        if self.consumes() && self.can_adopt(unmodified) {
            let adopted = self.transaction.adopt_file(&header, dir, name, &file)?;
            check_unchanged(&file, &stat, path)?;
            if let Some(checksum) = adopted {
                self.tally.adopted.fetch_add(1, Relaxed);
                return Ok(Some(checksum));
            }
            file.rewind()?;
        }
        let source = match stat.size {
            0 => FileSource::Empty,
            size => FileSource::File { file: &file, size },
        };
        let checksum = self.transaction.write_file(&header, source)?;
        check_unchanged(&file, &stat, path)?;
        self.discard(dir, name)?;
        Ok(Some(checksum))
    }

    /// The inode of a `bare-user` object tells neither owner nor attributes: for a hard link to
    /// one they come from the object, as in libostree.
    fn original(
        &self,
        stat: &Stat,
        hit: Option<&Checksum>,
    ) -> Result<(Attributes, Option<Xattrs>)> {
        match hit {
            Some(hit) if self.mode == RepoMode::BareUser => {
                let header = self.transaction.repo().load_file(hit)?.header;
                let attributes = Attributes { uid: header.uid, gid: header.gid, mode: header.mode };
                Ok((attributes, Some(header.xattrs)))
            }
            _ => Ok((Attributes::of(stat), None)),
        }
    }

    /// Whether the inode can become the object as it is; libostree does so for these modes.
    fn can_adopt(&self, unmodified: bool) -> bool {
        match self.mode {
            RepoMode::Bare => unmodified,
            RepoMode::BareUserOnly => true,
            _ => false,
        }
    }

    fn known(&self, stat: &Stat) -> Option<Checksum> {
        self.modifier.devino.as_ref()?.get(stat)
    }

    fn note_hit(&self) {
        self.tally.devino_hits.fetch_add(1, Relaxed);
        self.transaction.note_devino_hits(1);
    }

    pub(super) fn discard(&self, dir: &Dir, name: &str) -> Result<()> {
        if self.consumes() {
            dir.unlink(name)?;
        }
        Ok(())
    }
}

/// The bytes that were read are what was stored in any case; this tells that they may be a
/// mixture of two versions.
fn check_unchanged(file: &File, before: &Stat, path: &TreePath<'_>) -> Result<()> {
    let after = file.stat()?;
    if (after.size, after.mtime) == (before.size, before.mtime) {
        return Ok(());
    }
    Err(RepoError::Refused(format!("{path} changed while it was being read")))
}
