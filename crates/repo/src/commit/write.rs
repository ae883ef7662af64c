use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::sizes::SIZES_KEY;

use crate::bindings::{COLLECTION_BINDING, REF_BINDING};
use crate::{Repo, RepoError, Result, Transaction, TreeId};

/// Everything that makes a commit besides the objects of its tree.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The root directory, written before.
    pub tree: TreeId,
    /// The commit before this one; it need not be in the repository.
    pub parent: Option<Checksum>,
    /// One line.
    pub subject: String,
    /// Any text.
    pub body: String,
    /// Part of the commit and of its checksum.
    pub metadata: Metadata,
    /// Kept beside the commit.
    pub detached: Option<Metadata>,
    /// Seconds since 1970-01-01 00:00 UTC.
    pub timestamp: u64,
}

/// Stages the commit object and its detached metadata, and gives its checksum. No ref moves.
///
/// After [`Transaction::begin_sizes`] the sizes of the objects come last in the metadata.
pub fn write_commit(transaction: &Transaction<'_>, request: CommitRequest) -> Result<Checksum> {
    write_signed_commit(transaction, request, |_, _| Ok(()))
}

/// As [`write_commit`]; `sign` gets the bytes of the commit and adds to its detached metadata,
/// or to what is there already where the request has none.
pub fn write_signed_commit<E: From<RepoError>>(
    transaction: &Transaction<'_>,
    mut request: CommitRequest,
    sign: impl FnOnce(&[u8], &mut Metadata) -> std::result::Result<(), E>,
) -> std::result::Result<Checksum, E> {
    let detached = request.detached.iter().flat_map(Metadata::iter);
    if request.metadata.iter().chain(detached).any(|(key, _)| key.is_empty()) {
        return Err(RepoError::Refused("Empty metadata key".to_string()).into());
    }
    if let Some(sizes) = transaction.take_sizes()? {
        request.metadata.0.push((SIZES_KEY.to_string(), sizes));
    }
    let commit = Commit {
        metadata: request.metadata,
        parent: request.parent,
        related: Vec::new(),
        subject: request.subject,
        body: request.body,
        timestamp: request.timestamp,
        root_tree: request.tree.tree,
        root_meta: request.tree.meta,
    };
    let checksum = transaction.write_commit(&commit, None)?;
    let before = match request.detached {
        Some(detached) => Some(detached),
        None => transaction.repo().load_detached(&checksum)?,
    };
    let mut detached = before.clone().unwrap_or_default();
    sign(&commit.to_bytes(), &mut detached)?;
    if before.is_some() || !detached.is_empty() {
        transaction.write_detached(&checksum, &detached)?;
    }
    Ok(checksum)
}

/// Adds what `ostree commit` adds unless `--no-bindings`: the branch and the `--bind-ref`s as
/// sorted `ostree.ref-binding` (an empty list for an orphan), and the collection of the
/// repository unless `metadata` names one already.
pub fn bind_refs(repo: &Repo, metadata: &mut Metadata, refs: &[String]) {
    let mut refs = refs.to_vec();
    refs.sort_unstable();
    let has_collection = metadata.get(COLLECTION_BINDING).is_some();
    metadata.0.push((REF_BINDING.to_string(), Value::strings(refs)));
    let collection = repo.config().collection_id.clone();
    if let Some(id) = collection.filter(|_| !has_collection) {
        metadata.0.push((COLLECTION_BINDING.to_string(), Value::from(id)));
    }
}

/// The metadata of commit `parent` under `keys`, in their order (`--keep-metadata`). Fails for
/// a key it does not have.
pub fn keep_metadata(
    repo: &Repo,
    parent: &Checksum,
    keys: &[String],
) -> Result<Vec<(String, Value)>> {
    let commit = repo.load_commit(parent)?;
    let kept = |key: &String| match commit.metadata.get(key) {
        Some(value) => Ok((key.clone(), value.clone())),
        None => {
            Err(RepoError::Refused(format!("Missing metadata key '{key}' from commit '{parent}'")))
        }
    };
    keys.iter().map(kept).collect()
}

/// Whether commit `parent` has exactly this tree (`--skip-if-unchanged`).
pub fn is_unchanged(repo: &Repo, parent: &Checksum, tree: &TreeId) -> Result<bool> {
    Ok(TreeId::of_commit(&repo.load_commit(parent)?) == *tree)
}
