use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::FsError;

use super::{FileSource, Transaction};
use crate::{Content, Repo, RepoError, RepoMode, Result};

/// How an object came over from another repository.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ImportMethod {
    /// It was there already.
    Present,
    /// A hard link to the other repository's file.
    Link,
    /// Read, verified and written anew.
    Copy,
}

impl Transaction<'_> {
    /// Brings an object over from another local repository.
    ///
    /// From a source of the same mode and owner on the same file system it is linked, after its
    /// checksum was verified unless the source is `trusted`. Anything else is read and written
    /// anew: whoever owns a file that is linked could write to it ever after. Of
    /// a trusted source a file that does not have its checksum is taken under its name, as
    /// libostree takes it, and `fsck` tells.
    pub fn import_object(
        &self,
        from: &Repo,
        name: &ObjectName,
        trusted: bool,
    ) -> Result<ImportMethod> {
        let counter = self.counter(name.kind);
        if self.has_object(name)? {
            counter.fetch_add(1, Relaxed);
            return Ok(ImportMethod::Present);
        }
        if self.is_rehearsal() {
            return self.rehearse_import(from, name, trusted);
        }
        if self.can_link(from, name)? {
            if !trusted {
                verify(from, name)?;
            }
            if self.link_object(from, name)? {
                counter.fetch_add(1, Relaxed);
                return Ok(ImportMethod::Link);
            }
        }
        match name.kind {
            ObjectType::File => self.import_file(from, name, trusted)?,
            _ => self.import_metadata(from, name)?,
        }
        Ok(ImportMethod::Copy)
    }

    /// The count of objects that were asked for.
    pub(super) fn counter(&self, kind: ObjectType) -> &AtomicU64 {
        match kind {
            ObjectType::File => &self.tally.content_total,
            _ => &self.tally.metadata_total,
        }
    }

    /// Metadata is the same in every mode; content only between equal modes, and where a file
    /// of `bare-user` needs nothing that `bare-user-only` cannot say. Nothing of another owner.
    pub(super) fn can_link(&self, from: &Repo, name: &ObjectName) -> Result<bool> {
        if from.owner() != self.repo.owner() {
            return Ok(false);
        }
        if name.kind != ObjectType::File {
            return Ok(true);
        }
        match (from.mode(), self.repo.mode()) {
            (RepoMode::BareUser, RepoMode::BareUserOnly) => is_canonical(from, &name.checksum),
            (RepoMode::BareSplitXattrs, _) => Ok(false),
            (theirs, ours) => Ok(theirs == ours),
        }
    }

    /// False where the file system does not allow this link; the object is copied then.
    fn link_object(&self, from: &Repo, name: &ObjectName) -> Result<bool> {
        let path = from.object_path(name);
        let stage = self.stage()?;
        match from.objects().link(&*path, stage.dir(), stage.path_of(name)?) {
            Ok(()) => {
                self.staged.lock().expect("no holder panics").insert(*name);
                self.count_linked(name);
                Ok(true)
            }
            Err(e) if e.is_not_found() && from.parent().is_none() => {
                Err(RepoError::ObjectMissing { name: *name })
            }
            Err(e) if link_refused(&e) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn count_linked(&self, name: &ObjectName) {
        match name.kind {
            ObjectType::File => self.tally.content_written.fetch_add(1, Relaxed),
            _ => self.tally.metadata_written.fetch_add(1, Relaxed),
        };
    }

    pub(super) fn import_metadata(&self, from: &Repo, name: &ObjectName) -> Result<()> {
        let bytes = from.load_metadata(name.kind, &name.checksum)?;
        let actual = Checksum::of(&bytes);
        if actual != name.checksum {
            return Err(mismatch(name, actual));
        }
        self.write_metadata(name.kind, &bytes).map(drop)
    }

    fn import_file(&self, from: &Repo, name: &ObjectName, trusted: bool) -> Result<()> {
        let mut object = from.load_file(&name.checksum)?;
        let actual = self.write_file(&object.header, FileSource::Read(&mut object.content))?;
        if actual == name.checksum {
            return Ok(());
        }
        // What was staged under its true name is harmless: nothing refers to it.
        let found = ObjectName::new(actual, ObjectType::File);
        if !trusted || !self.is_staged(&found) {
            return Err(mismatch(name, actual));
        }
        let stage = self.stage()?;
        let (from, to) = (stage.path_of(&found)?, stage.path_of(name)?);
        // A second name, since another object may be what this content makes.
        stage.dir().link(from, stage.dir(), to)?;
        self.staged.lock().expect("no holder panics").insert(*name);
        Ok(())
    }
}

/// Whether the inode of a `bare-user` object tells all about the file.
fn is_canonical(from: &Repo, checksum: &Checksum) -> Result<bool> {
    let object = from.load_file(checksum)?;
    let header = &object.header;
    let plain = header.is_regular() && header.uid == 0 && header.gid == 0;
    match &object.content {
        Content::File(file) if plain && header.xattrs.is_empty() => {
            Ok(file.stat()?.mode == header.mode)
        }
        _ => Ok(false),
    }
}

pub(super) fn verify(from: &Repo, name: &ObjectName) -> Result<()> {
    let actual = match name.kind {
        ObjectType::File => {
            let object = from.load_file(&name.checksum)?;
            object
                .checksum()
                .map_err(|e| FsError::new("read", from.path().join(&*from.object_path(name)), e))?
        }
        _ => Checksum::of(&from.load_metadata(name.kind, &name.checksum)?),
    };
    if actual == name.checksum { Ok(()) } else { Err(mismatch(name, actual)) }
}

fn mismatch(name: &ObjectName, actual: Checksum) -> RepoError {
    RepoError::ChecksumMismatch { kind: name.kind.suffix(), expected: name.checksum, actual }
}

fn link_refused(e: &FsError) -> bool {
    e.is_cross_device()
        || e.is_too_many_links()
        || e.is_permission()
        || e.is_not_found()
        || e.is_exists()
}
