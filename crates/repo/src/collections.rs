use std::collections::BTreeMap;
use std::fmt;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::{CollectionId, RefName};

use crate::remote::{Remote, list_remotes};
use crate::{ListRefs, Repo, RepoError, Result};

/// A ref by the collection it belongs to: the same in every repository that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionRef {
    /// The collection.
    pub collection: CollectionId,
    /// The ref in it.
    pub name: RefName,
}

impl CollectionRef {
    /// Checks both names.
    pub fn new(collection: &str, name: &str) -> Result<Self> {
        let collection = CollectionId::new(collection)
            .map_err(|e| RepoError::format(format!("Invalid collection ID {collection}"), e))?;
        let name = RefName::new(name)
            .map_err(|e| RepoError::format(format!("Invalid ref name {name}"), e))?;
        Ok(CollectionRef { collection, name })
    }
}

impl fmt::Display for CollectionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.collection, self.name)
    }
}

impl Remote {
    /// The collection that the remote is configured with, where that is one.
    pub fn collection(&self) -> Option<CollectionId> {
        CollectionId::new(&self.option("collection-id")?).ok()
    }
}

impl Repo {
    /// Refs by their collection: local ones where the repository has a collection id, mirrored
    /// ones, and those of `remotes` that have one. Of the same ref the one of a remote counts,
    /// else the mirrored one, as in libostree.
    pub fn list_collection_refs(
        &self,
        remotes: &BTreeMap<String, Remote>,
    ) -> Result<BTreeMap<CollectionRef, Checksum>> {
        let mut found = BTreeMap::new();
        let own = self.config().collection_id.as_deref().and_then(|id| CollectionId::new(id).ok());
        if let Some(own) = own {
            let local = ListRefs { exclude_remotes: true, ..ListRefs::default() };
            for (refspec, target) in self.list_refs_with(None, local)? {
                let key = CollectionRef { collection: own.clone(), name: refspec.name };
                found.insert(key, target.checksum);
            }
        }
        for ((collection, name), commit) in self.list_mirror_refs()? {
            found.insert(CollectionRef { collection, name }, commit);
        }
        for (name, remote) in remotes {
            let Some(collection) = remote.collection() else { continue };
            for (refspec, commit) in self.list_refs(Some(&format!("{name}:")))? {
                let key = CollectionRef { collection: collection.clone(), name: refspec.name };
                found.insert(key, commit);
            }
        }
        Ok(found)
    }

    /// The commit a ref of a collection leads to here or in a parent repository, where there is
    /// one.
    pub fn resolve_collection_ref(
        &self,
        remotes: &BTreeMap<String, Remote>,
        wanted: &CollectionRef,
    ) -> Result<Option<Checksum>> {
        if let Some(commit) = self.list_collection_refs(remotes)?.remove(wanted) {
            return Ok(Some(commit));
        }
        match self.parent() {
            Some(parent) => parent.resolve_collection_ref(&list_remotes(parent, None)?, wanted),
            None => Ok(None),
        }
    }
}
