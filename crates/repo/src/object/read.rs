use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirtree::DirTree;
use trefoil_format::object::{LoosePath, MAX_METADATA_SIZE, ObjectName, ObjectType};

use crate::{Repo, RepoError, RepoMode, Result};

impl Repo {
    /// The path of an object relative to [`Repo::objects`].
    pub fn object_path(&self, name: &ObjectName) -> LoosePath {
        LoosePath::new(name, self.mode() == RepoMode::Archive)
    }

    /// Whether this repository or a parent holds the object.
    pub fn has_object(&self, name: &ObjectName) -> Result<bool> {
        if self.has_own_object(name)? {
            return Ok(true);
        }
        self.parent().map_or(Ok(false), |parent| parent.has_object(name))
    }

    /// Whether this repository itself holds the object.
    pub fn has_own_object(&self, name: &ObjectName) -> Result<bool> {
        Ok(self.objects().exists(&*self.object_path(name))?)
    }

    /// The bytes of a metadata object, at most [`MAX_METADATA_SIZE`]. The checksum is not
    /// verified here, as in libostree.
    pub fn load_metadata(&self, kind: ObjectType, checksum: &Checksum) -> Result<Vec<u8>> {
        match self.load_metadata_opt(kind, checksum)? {
            Some(bytes) => Ok(bytes),
            None => Err(RepoError::ObjectMissing { name: ObjectName::new(*checksum, kind) }),
        }
    }

    /// As [`Repo::load_metadata`], `None` where neither this repository nor a parent holds it.
    pub fn load_metadata_opt(
        &self,
        kind: ObjectType,
        checksum: &Checksum,
    ) -> Result<Option<Vec<u8>>> {
        let path = self.object_path(&ObjectName::new(*checksum, kind));
        match self.objects().read_opt(&*path, MAX_METADATA_SIZE)? {
            Some(bytes) => Ok(Some(bytes)),
            None => match self.parent() {
                Some(parent) => parent.load_metadata_opt(kind, checksum),
                None => Ok(None),
            },
        }
    }

    /// Loads a commit.
    pub fn load_commit(&self, checksum: &Checksum) -> Result<Commit> {
        let bytes = self.load_metadata(ObjectType::Commit, checksum)?;
        Commit::parse(&bytes).map_err(|source| RepoError::Corrupt {
            name: ObjectName::new(*checksum, ObjectType::Commit),
            source,
        })
    }

    /// Loads a dirtree object.
    pub fn load_dirtree(&self, checksum: &Checksum) -> Result<DirTree> {
        let bytes = self.load_metadata(ObjectType::DirTree, checksum)?;
        DirTree::parse(&bytes).map_err(|source| RepoError::Corrupt {
            name: ObjectName::new(*checksum, ObjectType::DirTree),
            source,
        })
    }
}
