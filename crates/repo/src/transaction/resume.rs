use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{MAX_METADATA_SIZE, ObjectName, ObjectType};

use super::Transaction;
use super::stage::Leftover;
use crate::{Repo, Result};

impl Repo {
    /// As [`Repo::begin`], for work that can be gone on with after it was cut off: what an
    /// earlier transaction of this kind staged, in this boot, is in the new one.
    ///
    /// Nothing that is found is trusted: an object whose content does not give its name is
    /// deleted, as is all that no checksum can vouch for. Reads as much as was staged.
    pub(crate) fn begin_resuming(&self) -> Result<Transaction<'_>> {
        let txn = self.begin_staged(Leftover::Keep)?;
        let found: Vec<String> = txn
            .stage()?
            .dir()
            .entries()?
            .into_iter()
            .filter_map(|entry| entry.name.into_string().ok())
            .collect();
        let whole: Result<Vec<Option<ObjectName>>> =
            found.par_iter().map(|name| txn.examine(name)).collect();
        txn.staged.lock().expect("no holder panics").extend(whole?.into_iter().flatten());
        Ok(txn)
    }
}

impl Transaction<'_> {
    /// The object that a left file is, if it is whole and wanted; else the file is deleted.
    fn examine(&self, file: &str) -> Result<Option<ObjectName>> {
        let name = file.parse::<ObjectName>().ok().filter(|name| name.to_string() == file);
        if let Some(name) = name
            && !self.repo.has_own_object(&name)?
            && self.is_whole(file, &name)
        {
            return Ok(Some(name));
        }
        self.stage()?.dir().unlink(file)?;
        Ok(None)
    }

    /// What cannot be read is not whole: it is fetched again.
    fn is_whole(&self, file: &str, name: &ObjectName) -> bool {
        let Ok(stage) = self.stage() else { return false };
        let dir = stage.dir();
        let actual = match name.kind {
            ObjectType::File => match self.repo.load_file_at(dir, file, &name.checksum) {
                Ok(Some(object)) => object.checksum().ok(),
                _ => None,
            },
            ObjectType::Commit | ObjectType::DirTree | ObjectType::DirMeta => {
                dir.read(file, MAX_METADATA_SIZE).ok().map(|bytes| Checksum::of(&bytes))
            }
            _ => None,
        };
        actual == Some(name.checksum)
    }
}
