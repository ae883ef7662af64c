use std::collections::{BTreeMap, BTreeSet, HashMap};

use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Value;
use trefoil_format::keyfile::KeyFile;
use trefoil_format::name::{CollectionId, RefName};

use super::PullSource;
use super::summary::RemoteSummary;
use crate::delta::DeltaIndex;
use crate::pull::request::{RefKey, collection};
use crate::pull::transport::{Answer, FileRequest, Site, fetch, read_body};
use crate::pull::{Outcome, PullError, PullOptions};
use crate::summary::{Summary, SummaryRef};
use crate::{Repo, RepoError, RepoMode};

/// Largest file of a ref.
const REF_LIMIT: u64 = 1 << 20;

/// What to pull.
pub(in crate::pull) struct Wanted {
    /// By the refs that will point to them.
    pub refs: BTreeMap<RefKey, Checksum>,
    /// Asked for by checksum.
    pub commits: BTreeSet<Checksum>,
    /// Sizes of commit objects in bytes, as the summary tells.
    pub sizes: HashMap<Checksum, u64>,
    /// The remote keeps marks in place of deleted commits.
    pub tombstones: bool,
    /// The summary, where it was needed.
    pub summary: Option<RemoteSummary>,
    /// Commits may come by static deltas.
    pub use_deltas: bool,
    /// Deltas that the summary lists.
    pub deltas: DeltaIndex,
    /// The remote has lists of deltas by the commit they lead to.
    pub indexed_deltas: bool,
}

impl Wanted {
    /// Finds out which commits the refs lead to. The summary is fetched only where it is needed:
    /// not where every ref comes with its commit.
    pub fn resolve(dest: &Repo, source: &PullSource<'_>, options: &PullOptions) -> Outcome<Wanted> {
        let mut wanted = Wanted {
            refs: BTreeMap::new(),
            commits: BTreeSet::new(),
            sizes: HashMap::new(),
            tombstones: false,
            summary: None,
            // An archive holds objects as they are served, and part of a tree is less than a
            // delta.
            use_deltas: !options.disable_static_deltas
                && !options.commit_only
                && options.subdirs.is_empty()
                && dest.mode() != RepoMode::Archive,
            deltas: DeltaIndex::default(),
            indexed_deltas: false,
        };
        let mut open = BTreeSet::new();
        for asked in &options.refs {
            if let Ok(commit) = Checksum::from_hex(&asked.name) {
                wanted.commits.insert(commit);
                continue;
            }
            let name = RefName::new(&asked.name)
                .map_err(|e| RepoError::format(format!("Invalid refspec {}", asked.name), e))?;
            let key = RefKey { collection: asked.collection.clone(), name };
            match asked.commit {
                Some(commit) => {
                    // Of a ref that is named twice, the commit that comes with it counts.
                    wanted.refs.insert(key, commit);
                }
                None => {
                    open.insert(key);
                }
            }
        }
        open.retain(|key| !wanted.refs.contains_key(key));
        let all = options.refs.is_empty();
        let mut needed = all || !open.is_empty();
        if !needed && wanted.use_deltas {
            wanted.indexed_deltas = has_delta_indexes(source)?;
            needed = !wanted.indexed_deltas;
        }
        if needed {
            let refuse_cached = options.refuse_invalid_cache;
            wanted.summary =
                RemoteSummary::fetch(source, options.verifier.as_deref(), refuse_cached)?;
        }
        let summary = wanted.summary.as_ref().map(|s| Summary::parse(&s.bytes)).transpose()?;
        match &summary {
            Some(summary) => wanted.take_summary(summary, &open, all)?,
            None if all => {
                return Err(RepoError::Refused(super::NO_SUMMARY.to_string()).into());
            }
            None => {
                for key in open {
                    let commit = fetch_ref(source, &key)?;
                    wanted.refs.insert(key, commit);
                }
            }
        }
        if options.require_static_deltas && !wanted.indexed_deltas && wanted.deltas.0.is_empty() {
            let what = "Fetch configured to require static deltas, but no summary deltas or \
                        delta index found";
            return Err(RepoError::Refused(what.to_string()).into());
        }
        Ok(wanted)
    }

    fn take_summary(
        &mut self,
        summary: &Summary,
        open: &BTreeSet<RefKey>,
        all: bool,
    ) -> Outcome<()> {
        if let Some(mode) = summary.metadata.get_str("ostree.summary.mode")
            && !["archive", "archive-z2"].contains(&mode)
        {
            let what = format!("Can't pull from archives with mode \"{mode}\"");
            return Err(RepoError::Refused(what).into());
        }
        let tombstones = summary.metadata.get("ostree.summary.tombstone-commits");
        self.tombstones = matches!(tombstones, Some(Value::Bool(true)));
        let indexed = summary.metadata.get("ostree.summary.indexed-deltas");
        self.indexed_deltas |= matches!(indexed, Some(Value::Bool(true)));
        if let Some(deltas) = summary.metadata.get(DeltaIndex::KEY) {
            self.deltas = DeltaIndex::from_value(deltas).map_err(RepoError::from)?;
        }
        let main = summary.metadata.get_str("ostree.summary.collection-id");
        let main = main.map(collection).transpose()?;
        for key in open {
            let asked = key.collection.as_ref().filter(|id| main.as_ref() != Some(id));
            let refs = match asked {
                None => Some(&summary.refs),
                Some(id) => summary.collections.get(id.as_str()),
            };
            let found = refs.and_then(|refs| refs.iter().find(|r| r.name == key.name.as_str()));
            let Some(found) = found else {
                let branch = match asked {
                    None => format!("'{}'", key.name),
                    Some(id) => format!("({id}, {})", key.name),
                };
                let what = format!("No such branch {branch} in repository summary");
                return Err(RepoError::Refused(what).into());
            };
            self.add(asked.or(main.as_ref()), found)?;
        }
        if all {
            for r in &summary.refs {
                self.add(main.as_ref(), r)?;
            }
            for (id, refs) in &summary.collections {
                let id = collection(id)?;
                for r in refs {
                    self.add(Some(&id), r)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, collection: Option<&CollectionId>, found: &SummaryRef) -> Outcome<()> {
        let name = RefName::new(&found.name)
            .map_err(|e| RepoError::format(format!("Invalid ref name {}", found.name), e))?;
        self.sizes.insert(found.commit, found.commit_size);
        self.refs.insert(RefKey { collection: collection.cloned(), name }, found.commit);
        Ok(())
    }
}

/// Whether the `config` of the remote says that it has lists of deltas.
fn has_delta_indexes(source: &PullSource<'_>) -> Outcome<bool> {
    let bytes = match fetch(source.transport, FileRequest::new(Site::Main, "config", REF_LIMIT)) {
        Ok(Answer::File { body, .. }) => read_body("config", body)?,
        Ok(Answer::NotModified) => return Ok(false),
        Err(e) if e.is_missing() => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    let config = KeyFile::parse(&String::from_utf8_lossy(&bytes));
    let flag = config.ok().and_then(|config| config.bool("core", "indexed-deltas"));
    Ok(matches!(flag, Some(Ok(true))))
}

/// The commit that the file of a ref names.
fn fetch_ref(source: &PullSource<'_>, key: &RefKey) -> Outcome<Checksum> {
    let name = &key.name;
    let path = match &key.collection {
        None => format!("refs/heads/{name}"),
        Some(id) => format!("refs/mirrors/{id}/{name}"),
    };
    let request = FileRequest::new(Site::Main, &path, REF_LIMIT);
    let bytes = match fetch(source.transport, request)? {
        Answer::File { body, .. } => read_body(&path, body)?,
        Answer::NotModified => Vec::new(),
    };
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end();
    Checksum::from_hex(text).map_err(|_| PullError::InvalidRef {
        name: name.to_string(),
        // It may be a whole page of HTML.
        found: text.chars().take(64).map(|c| if c.is_control() { ' ' } else { c }).collect(),
    })
}
