use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::Value;
use trefoil_format::object::{MAX_METADATA_SIZE, ObjectName, ObjectType};

use super::Candidate;
use crate::pull::transport::{Answer, FetchError, FileRequest, Site, Transport, fetch, read_body};
use crate::summary::{Summary, SummaryRef};
use crate::{CollectionRef, Repo, RepoError, Result};

const COLLECTION: &str = "ostree.summary.collection-id";
const TIMESTAMP: &str = "ostree.commit.timestamp";

/// A candidate that has the newest commit of at least one ref.
#[derive(Clone, Debug)]
pub struct FoundRemote {
    /// What it is.
    pub candidate: Candidate,
    /// When its summary was written, in seconds since 1970; 0 where it does not say.
    pub last_modified: u64,
    /// All wanted refs, with the commit where it has the newest one.
    pub refs: BTreeMap<CollectionRef, Option<Checksum>>,
}

impl FoundRemote {
    fn has(&self) -> usize {
        self.refs.values().flatten().count()
    }

    /// libostree's order: by priority; then the older summary and the one of fewer refs first.
    fn order(&self) -> (i32, u64, usize, String) {
        let priority = self.candidate.finder().priority();
        (priority, self.last_modified, self.has(), self.candidate.sort_name())
    }
}

/// What one candidate offers.
struct Offer<'a> {
    candidate: &'a Candidate,
    last_modified: u64,
    commits: BTreeMap<CollectionRef, Checksum>,
}

/// What is known of a commit.
struct About {
    size: u64,
    /// In seconds since 1970, `None` where nobody told yet.
    time: Option<u64>,
}

/// Keeps the candidates that lead to the newest commit of a ref, the best first. Each comes with
/// its summary; one without is none.
///
/// How new a commit is says the commit itself where it is in `repo`, else the summaries; one
/// that says something else than those before it about the same commit is left out. `fetch` is
/// asked for the bytes of a commit that no summary tells the time of.
///
/// # Errors
/// Nobody has such a commit.
pub fn newest(
    repo: &Repo,
    candidates: &[(Candidate, Summary)],
    wanted: &BTreeSet<CollectionRef>,
    fetch: &mut dyn FnMut(&Candidate, &Checksum) -> Option<Vec<u8>>,
) -> Result<Vec<FoundRemote>> {
    let mut candidates: Vec<_> = candidates.iter().collect();
    // What configured remotes say counts before what anyone can write on a volume.
    candidates.sort_by_cached_key(|(candidate, _)| {
        (-candidate.finder().priority(), candidate.refs.len(), candidate.sort_name())
    });
    let mut known = HashMap::new();
    let mut offers = Vec::new();
    for (candidate, summary) in candidates {
        offers.extend(offer(repo, candidate, summary, &mut known)?);
    }
    for (commit, about) in &mut known {
        if about.time.is_none() {
            about.time = Some(ask_for_time(&offers, commit, fetch)?);
        }
    }
    let mut latest: BTreeMap<&CollectionRef, (u64, Checksum)> = BTreeMap::new();
    for (key, commit) in offers.iter().flat_map(|offer| &offer.commits) {
        let time = known.get(commit).and_then(|about| about.time).unwrap_or(0);
        let newer = latest.get(key).is_none_or(|(best, _)| time > *best);
        if newer {
            latest.insert(key, (time, *commit));
        }
    }
    let latest: BTreeMap<CollectionRef, Checksum> =
        latest.into_iter().map(|(key, (_, commit))| (key.clone(), commit)).collect();
    let mut found: Vec<FoundRemote> = offers
        .into_iter()
        .map(|offer| {
            let best = |key: &CollectionRef| {
                let commit = offer.commits.get(key).copied();
                (key.clone(), commit.filter(|commit| latest.get(key) == Some(commit)))
            };
            let refs = wanted.iter().map(best).collect();
            let (candidate, last_modified) = (offer.candidate.clone(), offer.last_modified);
            FoundRemote { candidate, last_modified, refs }
        })
        .filter(|found| found.has() > 0)
        .collect();
    found.sort_by_cached_key(FoundRemote::order);
    Ok(found)
}

/// What a summary says of the refs that the candidate may be taken for. `None` where it has none
/// of them, or contradicts what is known of a commit.
fn offer<'a>(
    repo: &Repo,
    candidate: &'a Candidate,
    summary: &Summary,
    known: &mut HashMap<Checksum, About>,
) -> Result<Option<Offer<'a>>> {
    let main = summary.metadata.get_str(COLLECTION);
    let main = main.map(|id| (id, &summary.refs)).into_iter();
    let others = summary.collections.iter().map(|(id, refs)| (id.as_str(), refs));
    let mut commits = BTreeMap::new();
    for (id, refs) in main.chain(others) {
        for listed in refs {
            let Ok(key) = CollectionRef::new(id, &listed.name) else { return Ok(None) };
            if !candidate.refs.contains(&key) {
                continue;
            }
            if !learn(repo, listed, known)? {
                return Ok(None);
            }
            commits.insert(key, listed.commit);
        }
    }
    let last_modified = summary.last_modified().unwrap_or(0);
    Ok((!commits.is_empty()).then_some(Offer { candidate, last_modified, commits }))
}

/// Notes what a summary says of a commit; false where that contradicts what is known.
fn learn(repo: &Repo, listed: &SummaryRef, known: &mut HashMap<Checksum, About>) -> Result<bool> {
    let told = big_endian(listed.metadata.get(TIMESTAMP));
    let about = match known.entry(listed.commit) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let object = ObjectName::new(listed.commit, ObjectType::Commit);
            let time = match repo.has_object(&object)? {
                true => Some(repo.load_commit(&listed.commit)?.timestamp),
                false => None,
            };
            entry.insert(About { size: listed.commit_size, time })
        }
    };
    let agrees = match (about.time, told) {
        (Some(time), Some(told)) => time == told,
        _ => true,
    };
    about.time = about.time.or(told);
    Ok(agrees && about.size == listed.commit_size)
}

/// Times in a summary are big endian; 0 stands for unknown.
fn big_endian(value: Option<&Value>) -> Option<u64> {
    match value {
        Some(Value::Uint64(time)) => Some(u64::from_be(*time)).filter(|time| *time > 0),
        _ => None,
    }
}

fn ask_for_time(
    offers: &[Offer<'_>],
    commit: &Checksum,
    fetch: &mut dyn FnMut(&Candidate, &Checksum) -> Option<Vec<u8>>,
) -> Result<u64> {
    for offer in offers.iter().filter(|offer| offer.commits.values().any(|c| c == commit)) {
        let bytes = fetch(offer.candidate, commit);
        if let Some(bytes) = bytes.filter(|bytes| Checksum::of(bytes) == *commit)
            && let Ok(parsed) = Commit::parse(&bytes)
        {
            return Ok(parsed.timestamp);
        }
    }
    Err(RepoError::Refused(format!("Metadata not found for commit '{commit}'")))
}

/// Fetches the bytes of a commit object, for [`newest`]. They are not verified.
pub fn fetch_commit(
    transport: &dyn Transport,
    commit: &Checksum,
) -> std::result::Result<Vec<u8>, FetchError> {
    let hex = commit.to_hex();
    let path = format!("objects/{}/{}.commit", &hex[..2], &hex[2..]);
    let request = FileRequest::new(Site::Content, &path, MAX_METADATA_SIZE);
    match fetch(transport, request)? {
        Answer::File { body, .. } => read_body(&path, body),
        Answer::NotModified => Ok(Vec::new()),
    }
}
