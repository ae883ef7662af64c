//! Listing and deleting loose objects.

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::object::{ObjectName, ObjectType};

use crate::{Repo, RepoError, Result};

/// The types that a listing holds: what prune and fsck deal with, as in libostree.
const LISTED: [ObjectType; 5] = [
    ObjectType::File,
    ObjectType::DirTree,
    ObjectType::DirMeta,
    ObjectType::Commit,
    ObjectType::PayloadLink,
];

impl Repo {
    /// The objects that this repository itself holds, not its parent, in ascending order.
    /// Detached metadata, tombstones and attributes of `bare-split-xattrs` are not listed, nor
    /// files with other names.
    pub fn list_objects(&self) -> Result<Vec<ObjectName>> {
        self.list_of(&LISTED)
    }

    /// The commits that this repository itself holds, in ascending order.
    pub fn list_commits(&self) -> Result<Vec<Checksum>> {
        let names = self.list_of(&[ObjectType::Commit])?;
        Ok(names.into_iter().map(|name| name.checksum).collect())
    }

    fn list_of(&self, kinds: &[ObjectType]) -> Result<Vec<ObjectName>> {
        let dirs: Vec<String> = self
            .objects()
            .sorted_entries()?
            .into_iter()
            .filter_map(|entry| entry.name.into_string().ok())
            .filter(|name| name.len() == 2)
            .collect();
        let listed: Result<Vec<Vec<ObjectName>>> =
            dirs.par_iter().map(|dir| self.list_dir(dir, kinds)).collect();
        let mut names = listed?.concat();
        names.sort_unstable();
        Ok(names)
    }

    fn list_dir(&self, prefix: &str, kinds: &[ObjectType]) -> Result<Vec<ObjectName>> {
        let Some(dir) = self.objects().open_dir_opt(prefix)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in dir.entries()? {
            let Some(file) = entry.name.to_str() else { continue };
            let Some((stem, _)) = file.split_once('.') else { continue };
            let Ok(checksum) = Checksum::from_hex(&format!("{prefix}{stem}")) else { continue };
            // The suffix of files depends on the mode of the repository.
            let is = |kind: &&ObjectType| {
                self.object_path(&ObjectName::new(checksum, **kind)).file_name() == file
            };
            if let Some(kind) = kinds.iter().find(is) {
                names.push(ObjectName::new(checksum, *kind));
            }
        }
        Ok(names)
    }

    /// The bytes an object occupies as a file, after compression; `None` where it is gone.
    pub fn object_size(&self, name: &ObjectName) -> Result<Option<u64>> {
        let path = self.object_path(name);
        Ok(self.objects().stat_opt(&*path)?.map(|stat| stat.size))
    }

    /// Removes an object of this repository; false where it was not there. Of a commit the
    /// detached metadata goes too, and the repository may be configured to leave a tombstone.
    /// Not durable by itself.
    ///
    /// The caller holds the exclusive repository lock and knows that nothing needs the object.
    pub fn delete_object(&self, name: &ObjectName) -> Result<bool> {
        let is_commit = name.kind == ObjectType::Commit;
        if is_commit {
            let detached = ObjectName::new(name.checksum, ObjectType::CommitMeta);
            self.objects().unlink_opt(&*self.object_path(&detached))?;
        }
        let existed = self.objects().unlink_opt(&*self.object_path(name))?;
        if is_commit && existed && self.config().tombstone_commits {
            self.write_tombstone(&name.checksum)?;
        }
        Ok(existed)
    }

    /// Leaves a mark in place of a commit that was deleted on purpose.
    pub(crate) fn write_tombstone(&self, commit: &Checksum) -> Result<()> {
        let mut content = Metadata::default();
        // A C string: libostree writes the NUL too.
        let mut text = commit.to_hex().into_bytes();
        text.push(0);
        content.set("commit", Value::Bytes(text));
        let path = self.object_path(&ObjectName::new(*commit, ObjectType::TombstoneCommit));
        self.objects().ensure_dir(path.folder(), 0o775)?;
        let (dir, file) = (self.objects().open_dir(path.folder())?, path.file_name());
        self.replace_file(&dir, file, &content.to_bytes(), self.config().fsync)
    }

    /// Takes the tombstone of a commit away, since the commit is there again.
    pub(crate) fn remove_tombstone(&self, commit: &Checksum) -> Result<()> {
        let name = ObjectName::new(*commit, ObjectType::TombstoneCommit);
        self.objects().unlink_opt(&*self.object_path(&name))?;
        Ok(())
    }

    /// Makes deleted commits leave tombstones from now on (`core.tombstone-commits`).
    pub(crate) fn enable_tombstones(&mut self) -> Result<()> {
        if self.config().tombstone_commits {
            return Ok(());
        }
        let mut key_file = self.config().key_file.clone();
        key_file
            .set_bool("core", "tombstone-commits", true)
            .map_err(|source| RepoError::Config { path: self.path().to_path_buf(), source })?;
        self.write_config(key_file)
    }
}
