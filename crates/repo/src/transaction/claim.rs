//! Which objects a transaction has to write, and how they get their names.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, OwnFolders};

use super::Transaction;
use crate::Result;
use crate::deep::FEW;

const FOLDER_MODE: u32 = 0o775;

/// What a transaction knows, or need not know, of the objects that are there.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Directory metadata that was found to be there.
    present: Mutex<HashSet<Checksum>>,
    /// Directories that nobody looked for: those of a small change are new, and that one is not
    /// shows when it gets its name.
    unasked: Mutex<HashSet<Checksum>>,
    /// Objects that were looked for and not found. Who looks first and then writes them need not
    /// look again: one that somebody else has written since is written once more, no worse.
    absent: Mutex<HashSet<ObjectName>>,
}

/// How a folder of objects is named.
enum Place<'a> {
    /// By its handle, since it may be another one the next time.
    Held(&'a Dir),
    /// By its path.
    Own(&'a OwnFolders<'a>),
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
    /// Whether the object is in the repository, a parent, or this transaction. The repository
    /// and its parents are asked once for one that is not there.
    pub fn has_object(&self, name: &ObjectName) -> Result<bool> {
        if self.is_staged(name) {
            return Ok(true);
        }
        let absent = || self.known.absent.lock().expect("no holder panics");
        if absent().contains(name) {
            return Ok(false);
        }
        let found = self.repo.has_object(name)?;
        if !found {
            absent().insert(*name);
        }
        Ok(found)
    }

    pub(super) fn is_staged(&self, name: &ObjectName) -> bool {
        self.staged.lock().expect("no holder panics").contains(name)
    }

    /// Claims the writing of an object: false if it is there already, or another thread of
    /// this transaction writes it.
    pub(super) fn claim(&self, name: ObjectName) -> Result<bool> {
        if self.is_staged(&name) {
            return Ok(false);
        }
        let absent = self.known.absent.lock().expect("no holder panics").remove(&name);
        if !absent && self.is_there(&name)? {
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
            ObjectType::DirTree if self.repo.parent().is_none() && !self.is_rehearsal() => {
                Ok(!self.known.leave_unasked(name.checksum) && self.repo.has_object(name)?)
            }
            _ => self.repo.has_object(name),
        }
    }

    /// Renames staged objects to their places, which are in one folder.
    pub(super) fn publish_folder(
        &self,
        names: &[ObjectName],
        own: &mut Option<OwnFolders<'_>>,
    ) -> Result<()> {
        let Some(first) = names.first() else { return Ok(()) };
        let objects = self.repo.objects();
        let stage = self.stage()?;
        if let Some(folders) = stage.folders()
            && first.kind != ObjectType::Commit
            && folders.publish(stage.dir(), first, objects)?
        {
            return Ok(());
        }
        let path = self.repo.object_path(first);
        let publish =
            |place: &Place<'_>| names.iter().try_for_each(|name| self.publish_as(name, place));
        if let Some(own) = own {
            own.ensure(path.folder(), FOLDER_MODE)?;
            return publish(&Place::Own(own));
        }
        let folder = match objects.open_dir_opt(path.folder())? {
            Some(folder) => folder,
            None => {
                objects.ensure_dir(path.folder(), FOLDER_MODE)?;
                objects.open_dir(path.folder())?
            }
        };
        publish(&Place::Held(&folder))
    }

    fn publish_as(&self, name: &ObjectName, place: &Place<'_>) -> Result<()> {
        let staged = self.stage()?.path_of(name)?;
        let stage = self.stage()?.dir();
        let path = self.repo.object_path(name);
        let rename = |replace| match (place, replace) {
            (Place::Own(own), _) => own.rename_into(stage, &staged, &path, replace),
            (Place::Held(dir), true) => stage.rename(&*staged, dir, path.file_name()),
            (Place::Held(dir), false) => stage.rename_noreplace(&*staged, dir, path.file_name()),
        };
        if !self.known.is_unasked(name) {
            return Ok(rename(true)?);
        }
        match rename(false) {
            // It was there all along, the same to the bit.
            Err(e) if e.is_exists() => {
                self.tally.metadata_written.fetch_sub(1, Relaxed);
                Ok(stage.unlink(&*staged)?)
            }
            // Not every file system can say so; one copy is as good as the other.
            Err(e) if e.is_unsupported() => Ok(rename(true)?),
            renamed => Ok(renamed?),
        }
    }
}
