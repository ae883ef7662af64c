//! Which objects a transaction has to write, and how they get their names.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

use super::Transaction;
use super::stage::Stage;
use crate::Result;
use crate::deep::FEW;

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
        let path = self.repo.object_path(name);
        let (stage, objects) = (self.stage.dir(), self.repo.objects());
        let staged = Stage::name_of(name);
        let unasked = self.known.is_unasked(name);
        let rename = || match unasked {
            true => stage.rename_noreplace(&*staged, objects, &*path),
            false => stage.rename(&*staged, objects, &*path),
        };
        let renamed = match rename() {
            Err(e) if e.is_not_found() => {
                objects.ensure_dir(&path[..2], 0o775)?;
                rename()
            }
            other => other,
        };
        match renamed {
            // It was there all along, the same to the bit.
            Err(e) if unasked && e.is_exists() => {
                self.tally.metadata_written.fetch_sub(1, Relaxed);
                Ok(stage.unlink(&*staged)?)
            }
            // Not every file system can say so; one copy is as good as the other.
            Err(e) if unasked && e.is_unsupported() => Ok(stage.rename(&*staged, objects, &*path)?),
            other => Ok(other?),
        }
    }
}
