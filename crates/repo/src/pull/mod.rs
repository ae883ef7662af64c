//! Bringing commits over: from another repository on this machine (`ostree pull-local`, and
//! `ostree pull` from a `file://` remote) with [`pull_local`], from a remote over the network
//! with [`pull_remote`].

mod beside;
mod checks;
mod directory;
mod objects;
mod paths;
mod peek;
mod remote;
mod request;
pub mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::error::FormatError;
use trefoil_format::name::{RefName, Refspec, RemoteName};
use trefoil_format::object::{ObjectName, ObjectType};

use crate::bindings::BindingError;
use crate::delta::DeltaName;
use crate::summary::{Summary, read_summary, read_summary_signatures};
use crate::traverse::Depth;
use crate::verify::{RemoteVerifier, VerifyError, VerifyReport};
use crate::{CommitState, ImportMethod, Repo, RepoError, Transaction};
use checks::Bases;
pub use directory::DirTransport;
use objects::TreeImport;
pub use peek::{Peeked, peek_local, peek_remote};
pub use remote::{
    PullProgress, PullSource, RemoteSummary, SummaryCache, prune_summary_cache, pull_remote,
};
pub use request::PullRef;
use request::{RefKey, Wanted};
use transport::FetchError;

/// What to pull and how.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Refs or checksums; where empty, every local ref of the source.
    pub refs: Vec<PullRef>,
    /// How many parents of each commit come along.
    pub depth: Depth,
    /// Refs are set below this remote (`REMOTE:REF`).
    pub remote: Option<RemoteName>,
    /// Refs are set as they are at the source, not below a remote: local ones, or those of the
    /// collection they belong to. Without refs, all of the source.
    pub mirror: bool,
    /// Only commit objects; the commits stay marked as partial.
    pub commit_only: bool,
    /// Takes the source's word for objects that can be linked. Without it every object is read
    /// and its checksum verified.
    pub trusted: bool,
    /// Refuses files that `bare-user-only` could not hold: set-id bits, world-writable.
    pub bareuseronly_files: bool,
    /// Checks that a commit was made for the ref that leads to it.
    pub verify_bindings: bool,
    /// Only these directories, as absolute paths; the commits stay marked as partial.
    pub subdirs: Vec<String>,
    /// Refuses a commit that is older than the one the ref points to here.
    pub timestamp_check: bool,
    /// Refuses commits that are older than this one.
    pub timestamp_check_from: Option<Checksum>,
    /// Verifies signatures of each commit, before anything of it is stored, and of the source's
    /// summary, which then decides what refs lead to.
    pub verifier: Option<Arc<RemoteVerifier>>,
    /// Fetches objects one by one, whatever deltas there are.
    pub disable_static_deltas: bool,
    /// Fails where there is no delta.
    pub require_static_deltas: bool,
    /// Only finds out what a delta would cost: [`PullStats::forecast`].
    pub dry_run: bool,
    /// Fails where a kept summary does not verify, instead of fetching it anew: for tests.
    pub refuse_invalid_cache: bool,
}

impl PullOptions {
    /// The ref here that follows `name` of the source.
    fn refspec(&self, name: RefName) -> Refspec {
        let remote = if self.mirror { None } else { self.remote.clone() };
        Refspec { remote, name }
    }

    /// Whether the refs here are to be those of a remote, in its words.
    fn mirrors_remote(&self) -> bool {
        self.mirror && self.remote.is_some()
    }

    /// Whether nothing is to be taken on trust.
    pub fn untrusted(&self) -> bool {
        !self.trusted
    }
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions {
            refs: Vec::new(),
            depth: Depth::Parents(0),
            remote: None,
            mirror: false,
            commit_only: false,
            trusted: true,
            bareuseronly_files: false,
            verify_bindings: true,
            subdirs: Vec::new(),
            timestamp_check: false,
            timestamp_check_from: None,
            verifier: None,
            disable_static_deltas: false,
            require_static_deltas: false,
            dry_run: false,
            refuse_invalid_cache: false,
        }
    }
}

/// What a pull brought over, in the terms of libostree's closing line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullStats {
    /// Commits, directories and directory metadata.
    pub metadata_imported: u64,
    /// Files.
    pub content_imported: u64,
    /// Of both, objects that became hard links to the source's.
    pub linked: u64,
    /// Metadata objects that came from a remote; an answer that a commit has no signatures
    /// counts, as in libostree 2022.7.
    pub metadata_fetched: u64,
    /// Files that came from a remote.
    pub content_fetched: u64,
    /// Parts of static deltas that came from a remote.
    pub delta_parts_fetched: u64,
    /// What a delta would cost, of a dry run.
    pub forecast: Option<DeltaForecast>,
    /// Bytes received from a remote.
    pub bytes_transferred: u64,
    /// Requests sent to a remote.
    pub requests: u64,
    /// Bytes of file content written; a link writes none.
    pub content_bytes_written: u64,
    /// Directories that were read to find what is missing.
    pub dirtrees_scanned: u64,
    /// The refs that were asked for and the commits they lead to now.
    pub refs: BTreeMap<Refspec, Checksum>,
    /// What was found of the signatures of commits that had to be signed.
    pub verified: BTreeMap<Checksum, VerifyReport>,
}

/// What a pull by static deltas takes. Sizes are in bytes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaForecast {
    /// Parts, and objects that come by themselves.
    pub parts: u64,
    /// Of these, those that nothing is missing of.
    pub parts_here: u64,
    /// All of them as they are fetched.
    pub size: u64,
    /// Of these, what is not to be fetched.
    pub size_here: u64,
    /// What they make.
    pub unpacked: u64,
}

/// Why a pull failed. Refs are as they were; commits that came over in part are marked so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// One of the repositories could not be read or written.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A commit was not made for the ref that leads to it.
    #[error("Commit {commit}")]
    Binding {
        /// The commit.
        commit: Checksum,
        /// What does not fit.
        #[source]
        source: BindingError,
    },
    /// A directory object that cannot be used.
    #[error("Validating dirtree {checksum} ({path})")]
    Dirtree {
        /// The object.
        checksum: Checksum,
        /// Where it lies in the tree.
        path: String,
        /// What is wrong.
        #[source]
        source: Box<RepoError>,
    },
    /// The new commit is older than the one it has to follow.
    #[error(
        "Upgrade target revision '{new}' with timestamp {new_time} is chronologically older \
         than current revision '{old}' with timestamp {old_time}; use --allow-downgrade to permit"
    )]
    Older {
        /// The commit to be pulled.
        new: Checksum,
        /// Its time, in seconds since 1970.
        new_time: u64,
        /// The commit here.
        old: Checksum,
        /// Its time.
        old_time: u64,
    },
    /// A metadata object that is none.
    #[error("{name}")]
    Metadata {
        /// The object.
        name: ObjectName,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// A part of a static delta that cannot be applied.
    #[error("Executing static delta {delta} part {index}")]
    Part {
        /// The delta.
        delta: DeltaName,
        /// Number of the part, the first being 0.
        index: usize,
        /// Why.
        #[source]
        source: Box<RepoError>,
    },
    /// A file of the remote could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file of a ref holds no checksum.
    #[error("Fetching checksum for ref ((empty), {name}): Invalid rev {found}")]
    InvalidRef {
        /// The ref.
        name: String,
        /// The beginning of what it holds.
        found: String,
    },
    /// Something has to be signed and is not, or not by anyone trusted.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A summary that has to be signed is older than one that was seen before. libostree takes
    /// it, so that whoever stands between can have a machine stay at, or go back to, an old
    /// version whose holes are known.
    #[error(
        "Summary of remote {remote} was made at {found}, but one made at {known} was seen before: \
         it is out of date, or was rolled back"
    )]
    SummaryOlder {
        /// The remote.
        remote: String,
        /// When the one was made that came, in seconds since 1970.
        found: u64,
        /// When the kept one was made.
        known: u64,
    },
    /// The settings of the remote ask for something that is not supported.
    #[error("{what}")]
    Remote {
        /// The remote.
        remote: String,
        /// What it asks for.
        what: String,
    },
}

type Outcome<T> = std::result::Result<T, PullError>;

/// Copies commits and what they need from `source` into `dest` and then moves the refs.
///
/// Everything is in one transaction: after an error the refs are as they were, and no commit
/// that came over in part looks whole. Of a tree only the directories are read that differ
/// from a complete commit which is there already (the ref's old commit, else the parent, else
/// that of another ref).
pub fn pull_local(dest: &Repo, source: &Repo, options: &PullOptions) -> Outcome<PullStats> {
    let files = SummaryFiles::of(source, options)?;
    let summary = files.as_ref().map(|files| Summary::parse(&files.bytes)).transpose()?;
    let wanted = Wanted::resolve(source, options, summary.as_ref())?;
    let txn = dest.begin()?;
    let mut pull = Pull {
        dest,
        source,
        options,
        txn: &txn,
        bases: Bases::new(dest, options),
        stats: PullStats::default(),
        done: BTreeMap::new(),
        fetched: Vec::new(),
    };
    for (key, commit) in &wanted.refs {
        pull.history(*commit, Some(key))?;
    }
    for commit in &wanted.commits {
        pull.history(*commit, None)?;
    }
    let Pull { mut stats, done, fetched, .. } = pull;
    for (key, commit) in wanted.refs {
        stats.refs.insert(key.set(&txn, options, commit)?, commit);
    }
    if options.mirrors_remote()
        && options.refs.is_empty()
        && let Some(files) = &files
    {
        remote::mirror_summary(dest, &files.bytes, files.signatures.as_deref())?;
    }
    if !options.commit_only && options.subdirs.is_empty() {
        done.into_keys().for_each(|commit| txn.mark_complete(commit));
    }
    stats.content_bytes_written = txn.commit()?.content_bytes_written;
    for commit in fetched {
        dest.remove_tombstone(&commit)?;
    }
    Ok(stats)
}

/// The summary of a source on this machine.
struct SummaryFiles {
    bytes: Vec<u8>,
    signatures: Option<Vec<u8>>,
}

impl SummaryFiles {
    /// Reads and verifies it where it has to be signed, and where it tells what is mirrored.
    fn of(source: &Repo, options: &PullOptions) -> Outcome<Option<SummaryFiles>> {
        let verifier = options.verifier.as_ref().filter(|v| v.wants_summary());
        if verifier.is_none() && !options.mirrors_remote() {
            return Ok(None);
        }
        let bytes = read_summary(source)?;
        let signatures = read_summary_signatures(source)?;
        if let Some(verifier) = verifier {
            verifier.verify_summary(bytes.as_deref(), signatures.as_deref())?;
        }
        if bytes.is_none() && options.refs.is_empty() {
            return Err(RepoError::Refused(remote::NO_SUMMARY.to_string()).into());
        }
        Ok(bytes.map(|bytes| SummaryFiles { bytes, signatures }))
    }
}

struct Pull<'a> {
    dest: &'a Repo,
    source: &'a Repo,
    options: &'a PullOptions,
    txn: &'a Transaction<'a>,
    bases: Bases<'a>,
    stats: PullStats,
    /// Commits that are dealt with, and how far into their history.
    done: BTreeMap<Checksum, Depth>,
    /// Commits that were not there before.
    fetched: Vec<Checksum>,
}

impl Pull<'_> {
    /// Brings a commit and its parents up to the depth asked for.
    fn history(&mut self, tip: Checksum, key: Option<&RefKey>) -> Outcome<()> {
        let mut next = Some((tip, self.options.depth));
        let mut is_tip = true;
        while let Some((checksum, depth)) = next {
            let seen = self.done.get(&checksum).copied();
            if seen.is_some_and(|seen| seen >= depth) && !is_tip {
                return Ok(());
            }
            let Some(commit) = self.commit_object(&checksum, is_tip)? else { return Ok(()) };
            self.check(&checksum, &commit, key.filter(|_| is_tip), is_tip)?;
            if seen.is_none() && !self.options.commit_only {
                self.tree(&checksum, &commit, key)?;
            }
            self.done.insert(checksum, seen.map_or(depth, |seen| seen.max(depth)));
            next = commit.parent.zip(depth.next());
            is_tip = false;
        }
        Ok(())
    }

    /// The commit, brought over if need be. `None` for a parent that the source does not have:
    /// histories may end in the void.
    fn commit_object(&mut self, checksum: &Checksum, is_tip: bool) -> Outcome<Option<Commit>> {
        let name = ObjectName::new(*checksum, ObjectType::Commit);
        self.verify(checksum)?;
        if !self.txn.has_object(&name)? {
            if !self.source.has_object(&name)? {
                if is_tip {
                    return Err(RepoError::ObjectMissing { name }.into());
                }
                if self.source.config().tombstone_commits {
                    self.dest.write_tombstone(checksum)?;
                }
                return Ok(None);
            }
            // Before the first object can be seen, so that dying leaves it marked.
            self.txn.mark_partial(checksum)?;
            let method = self.txn.import_object(self.source, &name, self.options.trusted)?;
            self.stats.metadata_imported += 1;
            self.stats.linked += u64::from(method == ImportMethod::Link);
            self.fetched.push(*checksum);
        }
        // Signatures may have been added since the commit came over.
        if let Some(detached) = self.source.load_detached_bytes(checksum)?
            && self.dest.load_detached_bytes(checksum)?.as_ref() != Some(&detached)
        {
            self.txn.write_detached_bytes(checksum, &detached)?;
        }
        checks::load_commit(self.txn, checksum).map(Some)
    }

    /// Verifies the signatures of a commit that is here or at the source, if they have to be.
    fn verify(&mut self, checksum: &Checksum) -> Outcome<()> {
        let Some(verifier) = self.options.verifier.as_ref().filter(|v| v.wants_commit()) else {
            return Ok(());
        };
        if self.stats.verified.contains_key(checksum) {
            return Ok(());
        }
        let name = ObjectName::new(*checksum, ObjectType::Commit);
        let bytes = if self.source.has_object(&name)? {
            self.source.load_metadata(ObjectType::Commit, checksum)?
        } else if self.dest.has_object(&name)? {
            self.dest.load_metadata(ObjectType::Commit, checksum)?
        } else {
            return Ok(());
        };
        let detached = match self.source.load_detached(checksum)? {
            Some(detached) => Some(detached),
            None => self.dest.load_detached(checksum)?,
        };
        let report = verifier.verify_commit(checksum, &bytes, detached.as_ref())?;
        self.stats.verified.insert(*checksum, report);
        Ok(())
    }

    fn check(
        &self,
        checksum: &Checksum,
        commit: &Commit,
        key: Option<&RefKey>,
        is_tip: bool,
    ) -> Outcome<()> {
        let collection = self.collection(key);
        let names: Vec<RefName> = key.map(|key| key.name.clone()).into_iter().collect();
        checks::commit(self.dest, self.options, collection, checksum, commit, &names, is_tip)
    }

    /// The collection that commits have to be bound to: that of the source, unless it holds refs
    /// of another one. A source that claims none may hold commits that are bound to none, but
    /// not where the word of someone else is needed for them.
    fn collection<'k>(&'k self, key: Option<&'k RefKey>) -> Option<&'k str> {
        let own = self.source.config().collection_id.as_deref();
        let asked = key.and_then(|key| key.collection.as_deref());
        let vouched = self.options.verifier.as_ref().is_some_and(|v| v.wants_commit());
        asked.filter(|_| vouched || own.is_some()).or(own)
    }

    /// Brings over what the commit needs, unless it is there and whole.
    fn tree(&mut self, checksum: &Checksum, commit: &Commit, key: Option<&RefKey>) -> Outcome<()> {
        if self.dest.commit_state(checksum)? == CommitState::Normal {
            return Ok(());
        }
        let names: Vec<RefName> = key.map(|key| key.name.clone()).into_iter().collect();
        let base = self.bases.find(commit, &names)?;
        let import = TreeImport {
            txn: self.txn,
            source: self.source,
            options: self.options,
            stats: &mut self.stats,
        };
        import.run(commit, base)
    }
}
