use std::collections::{BTreeMap, BTreeSet};

use trefoil_format::checksum::Checksum;
use trefoil_format::name::{CollectionId, RefName, Refspec};

use super::PullOptions;
use crate::remote::list_remotes;
use crate::summary::{Summary, SummaryRef};
use crate::{CollectionRef, Repo, RepoError, Result, Transaction};

/// One thing to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRef {
    /// A ref of the source, or the checksum of a commit.
    pub name: String,
    /// The collection that the ref belongs to; `None` for that of the source.
    pub collection: Option<CollectionId>,
    /// For a ref: this commit instead of the one it points to at the source.
    pub commit: Option<Checksum>,
}

impl From<&str> for PullRef {
    fn from(name: &str) -> Self {
        PullRef { name: name.to_string(), collection: None, commit: None }
    }
}

/// A ref that is pulled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RefKey {
    /// The collection it belongs to, where that is known.
    pub collection: Option<CollectionId>,
    /// Its name.
    pub name: RefName,
}

impl RefKey {
    /// Has the ref here that follows this one set to `commit`, unless it is: that of the
    /// collection in a mirror, else the one that is given back.
    pub fn set(
        &self,
        txn: &Transaction<'_>,
        options: &PullOptions,
        commit: Checksum,
    ) -> Result<Refspec> {
        let refspec = options.refspec(self.name.clone());
        match &self.collection {
            Some(id) if options.mirror => {
                txn.set_collection_ref(id.clone(), self.name.clone(), Some(commit));
            }
            _ => {
                if txn.repo().resolve_refspec(&refspec, false)? != Some(commit) {
                    txn.set_ref(refspec.clone(), Some(commit));
                }
            }
        }
        Ok(refspec)
    }
}

/// The commits to pull.
pub(super) struct Wanted {
    /// By the refs that will point to them.
    pub refs: BTreeMap<RefKey, Checksum>,
    /// Asked for by checksum.
    pub commits: BTreeSet<Checksum>,
}

impl Wanted {
    /// `summary` is one whose word counts more than the refs of the source.
    pub fn resolve(
        source: &Repo,
        options: &PullOptions,
        summary: Option<&Summary>,
    ) -> Result<Wanted> {
        let mut wanted = Wanted { refs: BTreeMap::new(), commits: BTreeSet::new() };
        if options.refs.is_empty() {
            match summary {
                Some(summary) if options.mirrors_remote() => wanted.all_of_summary(summary)?,
                _ => wanted.all_of_source(source, summary)?,
            }
            return Ok(wanted);
        }
        for asked in &options.refs {
            if let Ok(commit) = Checksum::from_hex(&asked.name) {
                wanted.commits.insert(commit);
                continue;
            }
            let name = local_name(&asked.name)?;
            let mut collection = asked.collection.clone();
            let commit = match (asked.commit, &collection, summary) {
                (Some(commit), ..) => commit,
                (None, Some(collection), _) => {
                    let key = CollectionRef { collection: collection.clone(), name: name.clone() };
                    of_collection(source, &key)?
                }
                (None, None, Some(summary)) => {
                    collection = main_collection(summary)?;
                    of_summary(summary, &name)?
                }
                (None, None, None) => resolve(source, &name)?,
            };
            wanted.refs.insert(RefKey { collection, name }, commit);
        }
        Ok(wanted)
    }

    fn all_of_source(&mut self, source: &Repo, summary: Option<&Summary>) -> Result<()> {
        for (refspec, commit) in source.list_refs(None)? {
            let name = local_name(&refspec.to_string())?;
            let commit = match summary {
                Some(summary) => of_summary(summary, &name)?,
                None => commit,
            };
            self.refs.insert(RefKey { collection: None, name }, commit);
        }
        Ok(())
    }

    fn all_of_summary(&mut self, summary: &Summary) -> Result<()> {
        let mut add = |collection: Option<&CollectionId>, refs: &[SummaryRef]| -> Result<()> {
            for listed in refs {
                let (collection, name) = (collection.cloned(), local_name(&listed.name)?);
                self.refs.insert(RefKey { collection, name }, listed.commit);
            }
            Ok(())
        };
        add(main_collection(summary)?.as_ref(), &summary.refs)?;
        for (id, refs) in &summary.collections {
            add(Some(&collection(id)?), refs)?;
        }
        Ok(())
    }
}

/// The collection that the refs of a summary belong to.
fn main_collection(summary: &Summary) -> Result<Option<CollectionId>> {
    summary.metadata.get_str("ostree.summary.collection-id").map(collection).transpose()
}

pub(super) fn collection(id: &str) -> Result<CollectionId> {
    CollectionId::new(id).map_err(|e| RepoError::format(format!("Invalid collection ID {id}"), e))
}

fn of_summary(summary: &Summary, name: &RefName) -> Result<Checksum> {
    let found = summary.refs.iter().find(|r| r.name == name.as_str());
    let missing = || RepoError::Refused(format!("No such branch '{name}' in repository summary"));
    found.map(|r| r.commit).ok_or_else(missing)
}

fn of_collection(source: &Repo, key: &CollectionRef) -> Result<Checksum> {
    let found = source.resolve_collection_ref(&list_remotes(source, None)?, key)?;
    found.ok_or_else(|| RepoError::Refused(format!("Collection–ref {key} not found")))
}

fn resolve(source: &Repo, name: &RefName) -> Result<Checksum> {
    source
        .resolve_refspec(&Refspec { remote: None, name: name.clone() }, true)?
        .ok_or_else(|| RepoError::RefNotFound { refspec: name.to_string() })
}

/// A name that can be a local ref, which `REMOTE:REF` cannot.
fn local_name(name: &str) -> Result<RefName> {
    RefName::new(name).map_err(|e| RepoError::format(format!("Invalid ref name {name}"), e))
}
