//! Pulling from a remote whose files are fetched one by one: over HTTP, or from a directory
//! that is treated like a web server.
//!
//! One thread decides what to fetch next and has many requests under way; a few others verify
//! and write what comes in. Of a tree only the directories are fetched that differ from a
//! complete commit which is here already (the ref's old commit, else the parent, else that of
//! another ref).

mod account;
mod answers;
mod commits;
mod deltas;
mod engine;
mod queues;
mod receive;
mod resolve;
mod summary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::transport::Transport;
use super::{Outcome, PullOptions, PullStats};
use crate::Repo;
use engine::Engine;
pub(super) use resolve::Wanted;
pub(super) use summary::mirror_summary;
pub use summary::{RemoteSummary, SummaryCache, prune_summary_cache};

/// Where all refs are asked for.
pub(super) const NO_SUMMARY: &str = "Fetching all refs was requested in mirror mode, but remote \
                                     repository does not have a summary";

/// Where a pull gets its files from.
pub struct PullSource<'a> {
    /// Fetches files of the remote.
    pub transport: &'a dyn Transport,
    /// Repositories on this machine to look for objects first (`--localcache-repo`).
    pub localcache: &'a [Repo],
    /// The summary, where it is known already (from a metalink).
    pub summary: Option<Vec<u8>>,
    /// Where summaries are kept between pulls.
    pub cache: Option<SummaryCache<'a>>,
    /// The collection that the remote is configured with: commits have to be bound to it.
    pub collection_id: Option<String>,
    /// Takes content objects as they are, where an archive mirrors a remote.
    pub http_trusted: bool,
    /// Told how far the pull has come.
    pub progress: Option<Arc<PullProgress>>,
}

impl std::fmt::Debug for PullSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullSource").field("collection_id", &self.collection_id).finish()
    }
}

/// How far a pull has come; read by another thread.
#[derive(Debug, Default)]
pub struct PullProgress {
    /// Metadata objects that came in.
    pub metadata_fetched: AtomicU64,
    /// Metadata objects that are known to be missing, fetched ones included.
    pub metadata_requested: AtomicU64,
    /// Content objects that came in.
    pub content_fetched: AtomicU64,
    /// Content objects that are known to be missing, fetched ones included.
    pub content_requested: AtomicU64,
    /// Bytes received.
    pub bytes: AtomicU64,
    /// What [`PullProgress::bytes`] will be at least in the end, as commits (`ostree.sizes`) and
    /// deltas tell; grows with what is asked for. 0 where they do not.
    pub bytes_expected: AtomicU64,
}

impl PullProgress {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Pulls commits and what they need from a remote into `dest` and then moves the refs.
///
/// Everything is in one transaction: after an error the refs are as they were, and no commit
/// that came in part looks whole. What was received stays in the staging directory, and the next
/// pull of the same boot goes on from there: no object is fetched twice.
pub fn pull_remote(
    dest: &Repo,
    source: &PullSource<'_>,
    options: &PullOptions,
) -> Outcome<PullStats> {
    let wanted = Wanted::resolve(dest, source, options)?;
    let txn = match options.dry_run {
        true => dest.rehearse(),
        false => dest.begin_resuming()?,
    };
    let mut engine = Engine::new(&txn, source, options, &wanted);
    engine.run()?;
    let (mut stats, finished) = engine.finish();
    let transferred = source.transport.transferred();
    stats.bytes_transferred = transferred.bytes;
    stats.requests = transferred.requests;
    if options.dry_run {
        return Ok(stats);
    }
    for (key, commit) in &wanted.refs {
        stats.refs.insert(key.set(&txn, options, *commit)?, *commit);
    }
    if options.mirror
        && options.refs.is_empty()
        && let Some(summary) = &wanted.summary
    {
        summary.mirror(dest)?;
    }
    if !options.commit_only && options.subdirs.is_empty() {
        finished.commits.iter().for_each(|commit| txn.mark_complete(*commit));
    }
    stats.content_bytes_written = txn.commit()?.content_bytes_written;
    for commit in &finished.fetched {
        dest.remove_tombstone(commit)?;
    }
    Ok(stats)
}
