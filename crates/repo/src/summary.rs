//! The file `summary`: the refs a repository offers, for clients that cannot list directories.

use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::DirTree;
use trefoil_format::gvariant::{Metadata, Type, Value};
use trefoil_format::name::{CollectionId, RefName, Refspec};
use trefoil_format::object::{MAX_METADATA_SIZE, ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;

use crate::delta::{self, DeltaIndex, ReindexPlan};
use crate::{Repo, RepoError, Result};

const FILE: &str = "summary";
const SIGNATURES: &str = "summary.sig";
const FORMAT: &str = "(a(s(taya{sv}))a{sv})";
const REF_FORMAT: &str = "(s(taya{sv}))";
const COLLECTION_FORMAT: &str = "{sa(s(taya{sv}))}";
const COLLECTION_MAP_FORMAT: &str = "a{sa(s(taya{sv}))}";
const LAST_MODIFIED: &str = "ostree.summary.last-modified";
const COLLECTION_MAP: &str = "ostree.summary.collection-map";
/// The local ref that holds the same metadata as a commit.
const METADATA_REF: &str = "ostree-metadata";
/// The last second of the year 9999; libostree leaves out times that GLib cannot show.
const LAST_TIME: u64 = 253_402_300_799;

/// One ref in a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRef {
    /// Its name.
    pub name: String,
    /// Size of the commit object in bytes.
    pub commit_size: u64,
    /// The commit.
    pub commit: Checksum,
    /// `ostree.commit.timestamp` (big endian) and `ostree.commit.version`.
    pub metadata: Metadata,
}

/// The content of a summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The refs of the repository's own collection, by name.
    pub refs: Vec<SummaryRef>,
    /// Further refs by collection.
    pub collections: BTreeMap<String, Vec<SummaryRef>>,
    /// What else it says, in the order of the file; without the collections.
    pub metadata: Metadata,
}

impl Summary {
    /// When it was made, in seconds since 1970, where it says so.
    pub fn last_modified(&self) -> Option<u64> {
        match self.metadata.get(LAST_MODIFIED) {
            Some(Value::Uint64(time)) => Some(u64::from_be(*time)).filter(|time| *time > 0),
            _ => None,
        }
    }

    /// Reads a summary.
    pub fn parse(bytes: &[u8]) -> Result<Summary> {
        let value = Summary::parse_value(bytes)?;
        let malformed = || RepoError::Refused("summary has an unexpected structure".to_string());
        let Value::Tuple(parts) = value else { return Err(malformed()) };
        let Ok([refs, metadata]) = <[Value; 2]>::try_from(parts) else { return Err(malformed()) };
        let refs = read_refs(&refs).ok_or_else(malformed)?;
        let mut summary = Summary { refs, ..Summary::default() };
        let metadata =
            Metadata::from_value(metadata).map_err(|e| RepoError::format("Invalid summary", e))?;
        for (key, value) in metadata.0 {
            if key != COLLECTION_MAP || value.ty() != ty(COLLECTION_MAP_FORMAT) {
                summary.metadata.set(key, value);
                continue;
            }
            for entry in value.as_array().unwrap_or_default() {
                let Value::DictEntry(entry) = entry else { continue };
                let (Value::Str(id), refs) = &**entry else { continue };
                let refs = read_refs(refs).ok_or_else(malformed)?;
                summary.collections.insert(id.clone(), refs);
            }
        }
        Ok(summary)
    }

    /// The bytes as one value, as `ostree summary --raw` prints it.
    pub fn parse_value(bytes: &[u8]) -> Result<Value> {
        Value::parse(&ty(FORMAT), bytes).map_err(|e| RepoError::format("Invalid summary", e))
    }
}

fn read_refs(value: &Value) -> Option<Vec<SummaryRef>> {
    value.as_array()?.iter().map(read_ref).collect()
}

fn read_ref(value: &Value) -> Option<SummaryRef> {
    let Value::Tuple(parts) = value else { return None };
    let [Value::Str(name), Value::Tuple(about)] = &parts[..] else { return None };
    let [Value::Uint64(commit_size), Value::Bytes(commit), metadata] = &about[..] else {
        return None;
    };
    Some(SummaryRef {
        name: name.clone(),
        commit_size: *commit_size,
        commit: Checksum::from_slice(commit).ok()?,
        metadata: Metadata::from_value(metadata.clone()).ok()?,
    })
}

impl Summary {
    /// The bytes of the file. The collections come last, in the order of their ids.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        if !self.collections.is_empty() {
            let entries = self
                .collections
                .iter()
                .map(|(id, refs)| Value::dict_entry(Value::Str(id.clone()), refs_value(refs)));
            metadata.set(COLLECTION_MAP, Value::Array(ty(COLLECTION_FORMAT), entries.collect()));
        }
        Value::Tuple(vec![refs_value(&self.refs), metadata.to_value()]).to_bytes()
    }
}

fn ty(format: &str) -> Type {
    Type::parse(format).expect("the format string is a type")
}

fn refs_value(refs: &[SummaryRef]) -> Value {
    let values = refs.iter().map(|r| {
        let commit = Value::Bytes(r.commit.as_bytes().to_vec());
        let about = vec![Value::Uint64(r.commit_size), commit, r.metadata.to_value()];
        Value::Tuple(vec![Value::Str(r.name.clone()), Value::Tuple(about)])
    });
    Value::Array(ty(REF_FORMAT), values.collect())
}

/// Signs bytes: gives the `a{sv}` that becomes `summary.sig`, or detached metadata.
pub type Signer<'a> = &'a dyn Fn(&[u8]) -> Result<Metadata>;

/// Writes the summary anew, as `ostree summary --update`, and gives it. `now` is the time in
/// seconds since 1970, `extra` goes in as it is. One rename, durable where the repository syncs,
/// and then another for the signatures; without a signer those of the old summary are removed.
/// Nothing is written before everything is signed.
///
/// A repository with a collection id also gets a commit of the same metadata on the ref
/// `ostree-metadata`, signed as the summary is.
///
/// # Errors
/// A ref whose commit is missing or broken; the signer fails.
pub fn update_summary(
    repo: &Repo,
    now: u64,
    extra: &Metadata,
    signer: Option<Signer<'_>>,
) -> Result<Summary> {
    if let Some(id) = metadata_collection(repo) {
        commit_metadata(repo, &id, now, extra, signer)?;
    }
    write_summary(repo, now, extra, signer)
}

/// Writes the summary anew where `core.auto-update-summary` or its older name
/// `core.commit-update-summary` asks for it; to be called after refs changed.
pub fn update_summary_if_asked(repo: &Repo, now: u64) -> Result<Option<Summary>> {
    let asked = ["auto-update-summary", "commit-update-summary"]
        .iter()
        .any(|key| matches!(repo.config().key_file.bool("core", key), Some(Ok(true))));
    match asked {
        true => write_summary(repo, now, &Metadata::default(), None).map(Some),
        false => Ok(None),
    }
}

/// Reads the summary of a repository, `None` where it has none.
pub fn read_summary(repo: &Repo) -> Result<Option<Vec<u8>>> {
    Ok(repo.dir().read_opt(FILE, MAX_METADATA_SIZE)?)
}

/// Reads the signatures of the summary, the bytes of an `a{sv}`; `None` where it has none.
pub fn read_summary_signatures(repo: &Repo) -> Result<Option<Vec<u8>>> {
    Ok(repo.dir().read_opt(SIGNATURES, MAX_METADATA_SIZE)?)
}

fn write_summary(
    repo: &Repo,
    now: u64,
    extra: &Metadata,
    signer: Option<Signer<'_>>,
) -> Result<Summary> {
    let summary = compose(repo, now, extra)?;
    let config = repo.config();
    let bytes = summary.to_bytes();
    let signatures = signer.map(|sign| sign(&bytes)).transpose()?;
    // The summary says that there are lists of deltas by commit.
    delta::reindex_deltas(repo, None)?;
    repo.replace_file(repo.dir(), FILE, &bytes, config.fsync)?;
    match signatures {
        Some(signatures) => {
            repo.replace_file(repo.dir(), SIGNATURES, &signatures.to_bytes(), config.fsync)?;
        }
        None => {
            repo.dir().unlink_opt(SIGNATURES)?;
        }
    }
    Ok(summary)
}

/// What [`update_summary`] would do.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryPlan {
    /// What the summary would say. Where there would be a commit of its metadata, it would list
    /// that one instead of the last one.
    pub summary: Summary,
    /// The ref that would lead to a commit of the metadata.
    pub metadata_ref: Option<&'static str>,
    /// The lists of deltas that would be brought up to date.
    pub indexes: ReindexPlan,
    /// Whether there are signatures, which would be replaced or removed.
    pub has_signatures: bool,
}

/// Tells what [`update_summary`] would do, and writes nothing. What is to be signed is
/// [`Summary::to_bytes`].
///
/// # Errors
/// A ref whose commit is missing or broken.
pub fn plan_summary(repo: &Repo, now: u64, extra: &Metadata) -> Result<SummaryPlan> {
    Ok(SummaryPlan {
        summary: compose(repo, now, extra)?,
        metadata_ref: metadata_collection(repo).map(|_| METADATA_REF),
        indexes: delta::plan_reindex(repo, None)?,
        has_signatures: repo.dir().exists(SIGNATURES)?,
    })
}

/// The collection of the repository, which gets a commit of the metadata.
fn metadata_collection(repo: &Repo) -> Option<CollectionId> {
    CollectionId::new(repo.config().collection_id.as_deref()?).ok()
}

fn compose(repo: &Repo, now: u64, extra: &Metadata) -> Result<Summary> {
    let mut summary = collect_refs(repo)?;
    summary.metadata = extra.clone();
    let config = repo.config();
    let deltas = listed_deltas(repo)?;
    if !deltas.0.is_empty() {
        summary.metadata.set(DeltaIndex::KEY, deltas.to_value());
    }
    let mut say = |key: &str, value| summary.metadata.set(format!("ostree.summary.{key}"), value);
    say("last-modified", Value::Uint64(now.to_be()));
    say("mode", Value::Str(config.key_file.raw("core", "mode").unwrap_or("bare").to_string()));
    say("tombstone-commits", Value::Bool(config.tombstone_commits));
    say("indexed-deltas", Value::Bool(true));
    if let Some(id) = &config.collection_id {
        say("collection-id", Value::Str(id.clone()));
    }
    Ok(summary)
}

/// The deltas that go into the summary: all, or none with `core.no-deltas-in-summary`.
fn listed_deltas(repo: &Repo) -> Result<DeltaIndex> {
    match repo.config().key_file.bool("core", "no-deltas-in-summary") {
        Some(Ok(true)) => Ok(DeltaIndex::default()),
        Some(Err(e)) => {
            let key = "core.no-deltas-in-summary";
            Err(RepoError::Setting { key, problem: e.to_string() })
        }
        Some(Ok(false)) | None => delta::delta_digests(repo, &delta::list_deltas(repo)?),
    }
}

/// Refs of remotes are in it only where the remote has a collection id.
fn collect_refs(repo: &Repo) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut collections: BTreeMap<String, BTreeMap<String, Checksum>> = BTreeMap::new();
    let mut own = BTreeMap::new();
    let remotes = crate::remote::list_remotes(repo, None)?;
    for (refspec, commit) in repo.list_refs(None)? {
        let name = refspec.name.as_str().to_string();
        let Some(remote) = refspec.remote else {
            own.insert(name, commit);
            continue;
        };
        let id = remotes.get(remote.as_str()).and_then(|r| r.option("collection-id"));
        if let Some(id) = id.filter(|id| CollectionId::new(id).is_ok()) {
            collections.entry(id).or_default().insert(name, commit);
        }
    }
    for ((id, name), commit) in repo.list_mirror_refs()? {
        collections.entry(id.to_string()).or_default().insert(name.to_string(), commit);
    }
    if let Some(id) = &repo.config().collection_id {
        own.extend(collections.remove(id).unwrap_or_default());
    }
    summary.refs = entries(repo, own)?;
    for (id, refs) in collections {
        summary.collections.insert(id, entries(repo, refs)?);
    }
    Ok(summary)
}

fn entries(repo: &Repo, refs: BTreeMap<String, Checksum>) -> Result<Vec<SummaryRef>> {
    refs.into_iter().map(|(name, commit)| entry(repo, name, commit)).collect()
}

fn entry(repo: &Repo, name: String, checksum: Checksum) -> Result<SummaryRef> {
    let bytes = repo.load_metadata(ObjectType::Commit, &checksum)?;
    let object = ObjectName::new(checksum, ObjectType::Commit);
    let commit =
        Commit::parse(&bytes).map_err(|source| RepoError::Corrupt { name: object, source })?;
    let mut metadata = Metadata::default();
    if commit.timestamp <= LAST_TIME {
        metadata.set("ostree.commit.timestamp", Value::Uint64(commit.timestamp.to_be()));
    }
    if let Some(version) = commit.metadata.get_str("version") {
        metadata.set("ostree.commit.version", Value::Str(version.to_string()));
    }
    Ok(SummaryRef { name, commit_size: bytes.len() as u64, commit: checksum, metadata })
}

/// An empty tree whose commit carries the metadata of the repository.
fn commit_metadata(
    repo: &Repo,
    id: &CollectionId,
    now: u64,
    extra: &Metadata,
    signer: Option<Signer<'_>>,
) -> Result<()> {
    let name = RefName::new(METADATA_REF)
        .map_err(|e| RepoError::format(format!("Invalid ref name {METADATA_REF}"), e))?;
    let refspec = Refspec { remote: None, name };
    let mut metadata = extra.clone();
    metadata.set("ostree.collection-binding", Value::Str(id.to_string()));
    metadata.set("ostree.ref-binding", Value::strings([METADATA_REF]));
    let root = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: Xattrs::default() };
    let txn = repo.begin()?;
    let commit = Commit {
        metadata,
        parent: repo.resolve_refspec(&refspec, false)?,
        related: Vec::new(),
        subject: String::new(),
        body: String::new(),
        timestamp: now,
        root_tree: txn.write_metadata(ObjectType::DirTree, &DirTree::default().to_bytes())?,
        root_meta: txn.write_metadata(ObjectType::DirMeta, &root.to_bytes())?,
    };
    let detached = signer.map(|sign| sign(&commit.to_bytes())).transpose()?;
    let checksum = txn.write_commit(&commit, detached.as_ref())?;
    txn.set_ref(refspec, Some(checksum));
    txn.commit()?;
    Ok(())
}
