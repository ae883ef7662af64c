//! From another repository on this machine.

use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::name::RefName;
use trefoil_format::object::{ObjectName, ObjectType};

use super::checks::{self, Bases};
use super::objects::TreeImport;
use super::request::{RefKey, Wanted};
use super::{Outcome, PullOptions, PullPlan, PullStats, remote};
use crate::summary::{Summary, read_summary, read_summary_signatures};
use crate::traverse::Depth;
use crate::{CommitState, ImportMethod, Repo, RepoError, Transaction};

/// Copies commits and what they need from `source` into `dest` and then moves the refs.
///
/// Everything is in one transaction: after an error the refs are as they were, and no commit
/// that came over in part looks whole. Of a tree only the directories are read that differ
/// from a complete commit which is there already (the ref's old commit, else the parent, else
/// that of another ref).
pub fn pull_local(dest: &Repo, source: &Repo, options: &PullOptions) -> Outcome<PullStats> {
    let (files, wanted) = look_up(source, options)?;
    let txn = dest.begin()?;
    let (mut stats, fetched) = bring(&txn, source, options, wanted)?;
    if options.mirrors_remote()
        && options.refs.is_empty()
        && let Some(files) = &files
    {
        remote::mirror_summary(dest, &files.bytes, files.signatures.as_deref())?;
    }
    stats.content_bytes_written = txn.commit()?.content_bytes_written;
    for commit in fetched {
        dest.remove_tombstone(&commit)?;
    }
    Ok(stats)
}

/// What [`pull_local`] would do. Nothing is written to either repository: the same steps are gone
/// through in a transaction of [`Repo::rehearse`], which says what cannot be foreseen. Files of a
/// trusted source are not read.
///
/// # Errors
/// Those of the pull that come up before it writes.
pub fn plan_pull_local(dest: &Repo, source: &Repo, options: &PullOptions) -> Outcome<PullPlan> {
    let (_, wanted) = look_up(source, options)?;
    let txn = dest.rehearse();
    let (mut stats, commits) = bring(&txn, source, options, wanted)?;
    let moves = txn.ref_moves()?;
    stats.content_bytes_written = txn.stats().content_bytes_written;
    Ok(PullPlan { stats, commits, moves })
}

/// What is asked for, and the summary of the source where that is needed.
fn look_up(source: &Repo, options: &PullOptions) -> Outcome<(Option<SummaryFiles>, Wanted)> {
    let files = SummaryFiles::of(source, options)?;
    let summary = files.as_ref().map(|files| Summary::parse(&files.bytes)).transpose()?;
    let wanted = Wanted::resolve(source, options, summary.as_ref())?;
    Ok((files, wanted))
}

/// Has all that is wanted in the transaction. Gives the commits that were not there before.
fn bring(
    txn: &Transaction<'_>,
    source: &Repo,
    options: &PullOptions,
    wanted: Wanted,
) -> Outcome<(PullStats, Vec<Checksum>)> {
    let dest = txn.repo();
    let mut pull = Pull {
        dest,
        source,
        options,
        txn,
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
        stats.refs.insert(key.set(txn, options, commit)?, commit);
    }
    if !options.commit_only && options.subdirs.is_empty() {
        done.into_keys().for_each(|commit| txn.mark_complete(commit));
    }
    Ok((stats, fetched))
}

/// The summary of a source on this machine.
pub(super) struct SummaryFiles {
    pub(super) bytes: Vec<u8>,
    pub(super) signatures: Option<Vec<u8>>,
}

impl SummaryFiles {
    /// Reads and verifies it where it has to be signed, and where it tells what is mirrored.
    pub(super) fn of(source: &Repo, options: &PullOptions) -> Outcome<Option<SummaryFiles>> {
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
                if self.source.config().tombstone_commits && !self.txn.is_rehearsal() {
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
        // One that just came has its mark only where anything is written.
        let is_new = self.fetched.last() == Some(checksum);
        if !is_new && self.dest.commit_state(checksum)? == CommitState::Normal {
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
