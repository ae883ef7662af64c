//! Which objects a transaction has to write, and how they get their names.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_fsat::Dir;

use super::Transaction;
use crate::deep::FEW;
use crate::{RepoError, Result};

/// What a transaction knows, or need not know, of the objects that are there.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Directory metadata that was found to be there.
    present: Mutex<HashSet<Checksum>>,
    /// Directories that nobody looked for: those of a small change are new, and that one is not
    /// shows when it gets its name.
    unasked: Mutex<HashSet<Checksum>>,
}

impl Known {
    /// Whether a directory may be written without a look; false for the same one again.
    fn leave_unasked(&self, checksum: Checksum) -> bool {
        let mut unasked = self.unasked.lock().expect("no holder panics");
        unasked.len() < FEW && unasked.insert(checksum)
    }

    fn is_unasked(&self, name: &ObjectName) -> bool {
        name.kind == ObjectType::DirTree
            && self.unasked.lock().expect("no holder panics").contains(&name.checksum)
    }
}

impl Transaction<'_> {
    pub(super) fn is_staged(&self, name: &ObjectName) -> bool {
        self.staged.lock().expect("no holder panics").contains(name)
    }

    /// Claims the writing of an object: false if it is there already, or another thread of
    /// this transaction writes it.
    pub(super) fn claim(&self, name: ObjectName) -> Result<bool> {
        if self.is_staged(&name) || self.is_there(&name)? {
            return Ok(false);
        }
        Ok(self.staged.lock().expect("no holder panics").insert(name))
    }

    fn is_there(&self, name: &ObjectName) -> Result<bool> {
        match name.kind {
            // There are few of them, each asked for by many directories, and nobody prunes.
            ObjectType::DirMeta => {
                let mut present = self.known.present.lock().expect("no holder panics");
                let found = present.contains(&name.checksum) || self.repo.has_object(name)?;
                if found {
                    present.insert(name.checksum);
                }
                Ok(found)
            }
            // What a parent has would be written once more.
            ObjectType::DirTree if self.repo.parent().is_none() => {
                Ok(!self.known.leave_unasked(name.checksum) && self.repo.has_object(name)?)
            }
            _ => self.repo.has_object(name),
        }
    }

    /// Renames a staged object to its place.
    pub(super) fn publish_one(&self, name: &ObjectName) -> Result<()> {
        let (path, objects) = (self.repo.object_path(name), self.repo.objects());
        match self.publish_as(name, objects, &path) {
            Err(RepoError::Fs(e)) if e.is_not_found() => {
                objects.ensure_dir(path.folder(), 0o775)?;
                self.publish_as(name, objects, &path)
            }
            published => published,
        }
    }

    /// Renames staged objects to their places, which are in one folder.
    pub(super) fn publish_folder(&self, names: &[ObjectName]) -> Result<()> {
        let Some(first) = names.first() else { return Ok(()) };
        let objects = self.repo.objects();
        if let Some(folders) = self.stage.folders()
            && folders.publish(self.stage.dir(), first, objects)?
        {
            return Ok(());
        }
        if names.len() == 1 {
            return self.publish_one(first);
        }
        let path = self.repo.object_path(first);
        objects.ensure_dir(path.folder(), 0o775)?;
        let folder = objects.open_dir(path.folder())?;
        names.iter().try_for_each(|name| {
            let path = self.repo.object_path(name);
            self.publish_as(name, &folder, &path[LoosePath::FOLDER_LEN + 1..])
        })
    }

    fn publish_as(&self, name: &ObjectName, dir: &Dir, path: &str) -> Result<()> {
        let stage = self.stage.dir();
        let staged = self.stage.path_of(name)?;
        if !self.known.is_unasked(name) {
            return Ok(stage.rename(&*staged, dir, path)?);
        }
        match stage.rename_noreplace(&*staged, dir, path) {
            // It was there all along, the same to the bit.
            Err(e) if e.is_exists() => {
                self.tally.metadata_written.fetch_sub(1, Relaxed);
                Ok(stage.unlink(&*staged)?)
            }
            // Not every file system can say so; one copy is as good as the other.
            Err(e) if e.is_unsupported() => Ok(stage.rename(&*staged, dir, path)?),
            renamed => Ok(renamed?),
        }
    }
}
