//! Bringing commits over from another repository on this machine: `ostree pull-local`, and
//! `ostree pull` from a `file://` remote.

mod objects;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::name::{RefName, Refspec, RemoteName};
use trefoil_format::object::{ObjectName, ObjectType};

use crate::bindings::{BindingError, verify_bindings};
use crate::summary::{Summary, read_summary, read_summary_signatures};
use crate::traverse::Depth;
use crate::verify::{RemoteVerifier, VerifyError, VerifyReport};
use crate::{CommitState, ImportMethod, Repo, RepoError, Transaction};
use objects::TreeImport;
pub use request::PullRef;
use request::Wanted;

/// What to pull and how.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Refs or checksums; where empty, every local ref of the source.
    pub refs: Vec<PullRef>,
    /// How many parents of each commit come along.
    pub depth: Depth,
    /// Refs are set below this remote (`REMOTE:REF`).
    pub remote: Option<RemoteName>,
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
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions {
            refs: Vec::new(),
            depth: Depth::Parents(0),
            remote: None,
            commit_only: false,
            trusted: true,
            bareuseronly_files: false,
            verify_bindings: true,
            subdirs: Vec::new(),
            timestamp_check: false,
            timestamp_check_from: None,
            verifier: None,
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
    /// Bytes of file content written; a link writes none.
    pub content_bytes_written: u64,
    /// Directories that were read to find what is missing.
    pub dirtrees_scanned: u64,
    /// The refs that were asked for and the commits they lead to now.
    pub refs: BTreeMap<Refspec, Checksum>,
    /// What was found of the signatures of commits that had to be signed.
    pub verified: BTreeMap<Checksum, VerifyReport>,
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
    /// Something has to be signed and is not, or not by anyone trusted.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The settings of the remote ask for something that is not supported.
    #[error("remote {remote}: {what}")]
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
/// from a complete commit which is there already (the ref's old commit, else the parent).
pub fn pull_local(dest: &Repo, source: &Repo, options: &PullOptions) -> Outcome<PullStats> {
    let summary = verified_summary(source, options)?;
    let wanted = Wanted::resolve(source, options, summary.as_ref())?;
    let txn = dest.begin()?;
    let mut pull = Pull {
        dest,
        source,
        options,
        txn: &txn,
        stats: PullStats::default(),
        done: BTreeMap::new(),
        fetched: Vec::new(),
    };
    for (name, commit) in &wanted.refs {
        pull.history(*commit, Some(name))?;
    }
    for commit in &wanted.commits {
        pull.history(*commit, None)?;
    }
    let Pull { mut stats, done, fetched, .. } = pull;
    for (name, commit) in wanted.refs {
        let refspec = Refspec { remote: options.remote.clone(), name };
        if dest.resolve_refspec(&refspec, false)? != Some(commit) {
            txn.set_ref(refspec.clone(), Some(commit));
        }
        stats.refs.insert(refspec, commit);
    }
    stats.content_bytes_written = txn.commit()?.content_bytes_written;
    for commit in fetched {
        dest.remove_tombstone(&commit)?;
    }
    if !options.commit_only && options.subdirs.is_empty() {
        for commit in done.into_keys() {
            dest.set_commit_state(&commit, CommitState::Normal)?;
        }
    }
    Ok(stats)
}

/// The summary of the source where it has to be signed, once it is known to be.
fn verified_summary(source: &Repo, options: &PullOptions) -> Outcome<Option<Summary>> {
    let Some(verifier) = options.verifier.as_ref().filter(|v| v.wants_summary()) else {
        return Ok(None);
    };
    let bytes = read_summary(source)?;
    let signatures = read_summary_signatures(source)?;
    verifier.verify_summary(bytes.as_deref(), signatures.as_deref())?;
    Ok(bytes.map(|bytes| Summary::parse(&bytes)).transpose()?)
}

struct Pull<'a> {
    dest: &'a Repo,
    source: &'a Repo,
    options: &'a PullOptions,
    txn: &'a Transaction<'a>,
    stats: PullStats,
    /// Commits that are dealt with, and how far into their history.
    done: BTreeMap<Checksum, Depth>,
    /// Commits that were not there before.
    fetched: Vec<Checksum>,
}

impl Pull<'_> {
    /// Brings a commit and its parents up to the depth asked for.
    fn history(&mut self, tip: Checksum, name: Option<&RefName>) -> Outcome<()> {
        let mut next = Some((tip, self.options.depth));
        let mut is_tip = true;
        while let Some((checksum, depth)) = next {
            let seen = self.done.get(&checksum).copied();
            if seen.is_some_and(|seen| seen >= depth) && !is_tip {
                return Ok(());
            }
            let Some(commit) = self.commit_object(&checksum, is_tip)? else { return Ok(()) };
            self.check(&checksum, &commit, name.filter(|_| is_tip), is_tip)?;
            if seen.is_none() && !self.options.commit_only {
                self.tree(&checksum, &commit, name)?;
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
        let bytes = self.txn.load_metadata(ObjectType::Commit, checksum)?;
        let commit = Commit::parse(&bytes).map_err(|source| RepoError::Corrupt { name, source })?;
        Ok(Some(commit))
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
        name: Option<&RefName>,
        is_tip: bool,
    ) -> Outcome<()> {
        if self.options.verify_bindings {
            let collection = self.source.config().collection_id.as_deref();
            verify_bindings(commit, collection, name.map(RefName::as_str))
                .map_err(|source| PullError::Binding { commit: *checksum, source })?;
        }
        let current = match (self.options.timestamp_check && is_tip, name) {
            (true, Some(name)) => self.dest.resolve_rev_opt(name.as_str())?,
            _ => None,
        };
        for old in current.into_iter().chain(self.options.timestamp_check_from) {
            let old_time = self.dest.load_commit(&old)?.timestamp;
            if commit.timestamp < old_time {
                let (new, new_time) = (*checksum, commit.timestamp);
                return Err(PullError::Older { new, new_time, old, old_time });
            }
        }
        Ok(())
    }

    /// Brings over what the commit needs, unless it is there and whole.
    fn tree(
        &mut self,
        checksum: &Checksum,
        commit: &Commit,
        name: Option<&RefName>,
    ) -> Outcome<()> {
        if self.dest.commit_state(checksum)? == CommitState::Normal {
            return Ok(());
        }
        let base = self.base(commit, name)?;
        let import = TreeImport {
            txn: self.txn,
            source: self.source,
            options: self.options,
            stats: &mut self.stats,
        };
        import.run(commit, base)
    }

    /// The root of a complete commit that is much like this one.
    fn base(&self, commit: &Commit, name: Option<&RefName>) -> Outcome<Option<Checksum>> {
        let mut near = Vec::new();
        if let Some(name) = name {
            let refspec = Refspec { remote: self.options.remote.clone(), name: name.clone() };
            near.extend(self.dest.resolve_refspec(&refspec, false)?);
        }
        near.extend(commit.parent);
        for checksum in near {
            let whole = self.dest.has_object(&ObjectName::new(checksum, ObjectType::Commit))?
                && self.dest.commit_state(&checksum)? == CommitState::Normal;
            if whole {
                return Ok(Some(self.dest.load_commit(&checksum)?.root_tree));
            }
        }
        Ok(None)
    }
}
