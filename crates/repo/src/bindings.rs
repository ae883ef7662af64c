//! The refs a commit was made for: `ostree.ref-binding` and `ostree.collection-binding` in its
//! metadata.

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::{CollectionId, RefName, Refspec};

use crate::{Repo, RepoError, Result};

/// The refs a commit was made for.
pub(crate) const REF_BINDING: &str = "ostree.ref-binding";
/// The collection a commit was made for.
pub(crate) const COLLECTION_BINDING: &str = "ostree.collection-binding";

/// What does not fit between a commit and the ref that leads to it. The words are libostree's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// The repository has a collection id and the commit names no refs.
    #[error("Expected commit metadata to have ref binding information, found none")]
    NoRefs,
    /// The commit names other refs.
    #[error(
        "Commit has no requested ref \u{2018}{wanted}\u{2019} in ref binding metadata ({found})"
    )]
    OtherRefs {
        /// The ref that led to the commit.
        wanted: String,
        /// Those that the commit names.
        found: String,
    },
    /// The repository has a collection id and the commit names none.
    #[error("Expected commit metadata to have collection ID binding information, found none")]
    NoCollection,
    /// The commit is of another collection.
    #[error(
        "Commit has collection ID \u{2018}{found}\u{2019} in collection binding metadata, \
         while the remote it came from has collection ID \u{2018}{wanted}\u{2019}"
    )]
    OtherCollection {
        /// That of the repository it came from.
        wanted: String,
        /// That of the commit.
        found: String,
    },
    /// A ref named by the commit does not exist.
    #[error("{bound} in bindings for commit {commit} does not exist")]
    RefMissing {
        /// The ref in words.
        bound: String,
        /// The commit.
        commit: Checksum,
    },
    /// A ref named by the commit leads to another one.
    #[error("{bound} in bindings for commit {commit} does not resolve to that commit")]
    RefElsewhere {
        /// The ref in words.
        bound: String,
        /// The commit.
        commit: Checksum,
    },
}

/// Checks that `commit` was made for the ref `name`, and where `collection` is given, for that
/// collection. A commit that names no refs fits every one, unless a collection is asked for.
pub fn verify_bindings(
    commit: &Commit,
    collection: Option<&str>,
    name: Option<&str>,
) -> std::result::Result<(), BindingError> {
    let Some(refs) = bound_refs(&commit.metadata) else {
        return if collection.is_some() { Err(BindingError::NoRefs) } else { Ok(()) };
    };
    if let Some(wanted) = name.filter(|name| !refs.iter().any(|bound| bound == name)) {
        let quoted: Vec<_> = refs.iter().map(|r| format!("\u{2018}{r}\u{2019}")).collect();
        let found = if quoted.is_empty() { "no refs".to_string() } else { quoted.join(", ") };
        return Err(BindingError::OtherRefs { wanted: wanted.to_string(), found });
    }
    let Some(wanted) = collection else { return Ok(()) };
    match commit.metadata.get_str(COLLECTION_BINDING) {
        None => Err(BindingError::NoCollection),
        Some(found) if found != wanted => Err(BindingError::OtherCollection {
            wanted: wanted.to_string(),
            found: found.to_string(),
        }),
        Some(_) => Ok(()),
    }
}

/// Checks that every ref that `commit` was made for leads to it.
pub(crate) fn verify_back_refs(
    repo: &Repo,
    checksum: &Checksum,
    commit: &Commit,
) -> std::result::Result<(), crate::fsck::FsckError> {
    let collection = commit.metadata.get_str(COLLECTION_BINDING);
    for name in bound_refs(&commit.metadata).unwrap_or_default() {
        let (target, bound) = match collection {
            Some(id) => (
                resolve_collection_ref(repo, id, &name)?,
                format!("Collection\u{2013}ref ({id}, {name})"),
            ),
            None => (repo.resolve_rev_opt(&name)?, format!("Ref \u{2018}{name}\u{2019}")),
        };
        let commit = *checksum;
        match target {
            None => {
                let missing = BindingError::RefMissing { bound, commit };
                return Err(crate::fsck::FsckError::BackRef(missing));
            }
            Some(target) if target != commit => {
                let elsewhere = BindingError::RefElsewhere { bound, commit };
                return Err(crate::fsck::FsckError::BackRef(elsewhere));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn resolve_collection_ref(repo: &Repo, id: &str, name: &str) -> Result<Option<Checksum>> {
    let name = RefName::new(name)
        .map_err(|e| RepoError::format(format!("Invalid ref {name} in ref binding"), e))?;
    if repo.config().collection_id.as_deref() == Some(id) {
        return repo.resolve_refspec(&Refspec { remote: None, name }, false);
    }
    let Ok(id) = CollectionId::new(id) else { return Ok(None) };
    Ok(repo.list_mirror_refs()?.remove(&(id, name)))
}

/// The refs a commit names, `None` where it has no such metadata of the right type.
fn bound_refs(metadata: &Metadata) -> Option<Vec<String>> {
    let refs = metadata.get(REF_BINDING)?.as_strings()?;
    Some(refs.into_iter().map(str::to_string).collect())
}
