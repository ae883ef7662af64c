//! Committing a directory whenever it changes, step by step: what `watch` prints, and what
//! other verbs can do more with.

mod args;
mod signals;

pub use args::SetupArgs;
pub use signals::Signals;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;
use trefoil_fsat::Dir;
use trefoil_fsat::watch::{Backend, Changes, Lost, Patience, Stopper, Waited, Watch};
use trefoil_repo::commit::{
    CommitModifier, CommitRequest, Looked, Watched, WatchedTree, is_unchanged, write_commit,
};
use trefoil_repo::diff::{ChangeKind, diff_trees};
use trefoil_repo::{Repo, Transaction, TreeId};

use crate::commands::commit::attributes::report_unmatched;
use crate::commands::commit::metadata::MetadataArgs;
use crate::context::Context;
use crate::dates;
use crate::error::{CliError, Result};

/// Commits that may fail in a row before it is said: files that change while they are read,
/// or vanish, do that.
const PATIENT: u32 = 3;
/// How often a commit is tried again when nothing changes that could mend it.
const AGAIN: Duration = Duration::from_secs(10);
/// Where not all is watched: how often everything is looked at, at the most, and how much
/// longer than looking takes that is.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_SHARE: u32 = 10;
/// Paths named of those that changed.
const SAMPLE: usize = 3;

/// What is watched, and how it is committed.
#[derive(Debug)]
pub struct Setup {
    /// The directory.
    pub path: PathBuf,
    /// The ref, as it was given.
    pub branch: String,
    /// The message of every commit.
    pub subject: String,
    /// The rest of the message.
    pub body: String,
    /// Metadata of every commit.
    pub metadata: MetadataArgs,
    /// What is changed on the way.
    pub modifier: CommitModifier,
    /// How the kernel is asked.
    pub backend: Backend,
    /// The tree is committed after it was quiet for so long,
    pub quiet: Duration,
    /// or so long after the first change.
    pub at_most: Duration,
}

/// What came of one step.
#[derive(Debug)]
pub enum Step {
    /// A new commit, and the ref names it.
    Committed(Round),
    /// The tree is that of the commit `.0`, which the ref names.
    Unchanged(Checksum),
    /// No commit could be made. The same is tried again by the next steps.
    Failed(CliError),
    /// Nothing changed for as long as was asked.
    Idle,
    /// Somebody asked for an end.
    Stopped,
}

/// One commit.
#[derive(Debug)]
pub struct Round {
    /// Its checksum.
    pub commit: Checksum,
    /// The commit before it.
    pub parent: Option<Checksum>,
    /// How it differs from that.
    pub difference: Difference,
    /// What was looked at.
    pub looked: Looked,
    /// From the first change to the beginning of the commit; zero for the first commit.
    pub settled: Duration,
    /// From there until the ref named it.
    pub took: Duration,
    /// When that was.
    pub at: Instant,
}

/// How many entries of a tree differ. A directory that comes or goes is one.
#[derive(Debug, Default)]
pub struct Difference {
    /// Entries that are new; of a first commit, all there are.
    pub added: u64,
    /// Entries whose content or metadata is another.
    pub modified: u64,
    /// Entries that are gone.
    pub removed: u64,
    /// The first few of them.
    pub sample: Vec<String>,
}

impl Difference {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.added + self.modified + self.removed
    }

    fn between(repo: &Repo, old: TreeId, new: TreeId) -> Result<Self> {
        let mut found = Difference::default();
        diff_trees(repo, old, new, &mut |change| {
            match change.kind {
                ChangeKind::FileAdded { .. } | ChangeKind::DirAdded { .. } => found.added += 1,
                ChangeKind::FileRemoved { .. } | ChangeKind::DirRemoved { .. } => {
                    found.removed += 1;
                }
                _ => found.modified += 1,
            }
            if found.sample.len() < SAMPLE {
                found.sample.push(change.path.to_string());
            }
        })?;
        Ok(found)
    }
}

/// A directory that is being watched and committed.
#[derive(Debug)]
pub struct Watching<'a> {
    cx: &'a Context,
    repo: Repo,
    dir: Dir,
    setup: Setup,
    watch: Watch,
    tree: WatchedTree,
    /// How long looking at everything took.
    look: Duration,
    failures: u32,
}

impl<'a> Watching<'a> {
    /// Begins to watch. Nothing is committed before the first [`Watching::next`].
    pub fn start(cx: &'a Context, repo: Repo, setup: Setup) -> Result<Self> {
        let dir = cx.fs.open_dir(&setup.path)?;
        refuse_repo_within(&repo, &dir)?;
        let watch = Watch::start(&dir, setup.backend)?;
        let (tree, look) = (WatchedTree::new(), Duration::ZERO);
        let watching = Watching { cx, repo, dir, setup, watch, tree, look, failures: 0 };
        if !watching.watch.is_whole() {
            watching.cx.ui.words(format_args!(
                "not every directory is watched: inotify's limit is reached, so everything is \
                 looked at every few seconds\nhint: raise it with 'sysctl \
                 fs.inotify.max_user_watches=N', or run it as root for fanotify"
            ))?;
        }
        Ok(watching)
    }

    /// What tells of changes.
    pub fn backend(&self) -> &'static str {
        self.watch.name()
    }

    /// Ends the waiting, from any thread. A commit that is under way is finished.
    pub fn stopper(&self) -> Stopper {
        self.watch.stopper()
    }

    /// The first time commits the tree as it is; then waits until it has changed and come to
    /// rest, for at most `idle`, and commits it.
    ///
    /// # Errors
    /// There is nothing to watch any more.
    pub fn next(&mut self, idle: Option<Duration>) -> Result<Step> {
        if self.failures == 0
            && self.tree.is_pending()
            && let Some(step) = self.attempt(Changes::new(), None)?
        {
            return Ok(step);
        }
        loop {
            let (patience, own) = self.patience(idle);
            let (mut changes, since) = match self.watch.wait(patience)? {
                Waited::Stopped => return Ok(Step::Stopped),
                Waited::Idle if !own => return Ok(Step::Idle),
                Waited::Idle => (Changes::new(), None),
                Waited::Changed { changes, since } => (changes, Some(since)),
            };
            if self.dir.stat_self()?.nlink == 0 {
                let path = self.setup.path.display();
                return Err(CliError::failed(format!("{path} was removed: nothing to watch")));
            }
            if !self.watch.is_whole() {
                changes.lose(Lost::WatchLimit);
            }
            if let Some(step) = self.attempt(changes, since)? {
                return Ok(step);
            }
        }
    }

    /// How long to wait, and whether that is for a reason of ours.
    fn patience(&self, idle: Option<Duration>) -> (Patience, bool) {
        let ours = match (self.tree.is_pending(), self.watch.is_whole()) {
            (true, _) => Some(AGAIN),
            (_, false) => Some(LOOK.max(self.look * LOOK_SHARE)),
            _ => None,
        };
        let own = idle.is_none() && ours.is_some();
        let Setup { quiet, at_most, .. } = self.setup;
        (Patience { quiet, at_most, idle: idle.or(ours) }, own)
    }

    /// Tries to commit; `None` where that failed and is to be tried again without a word.
    fn attempt(&mut self, changes: Changes, since: Option<Instant>) -> Result<Option<Step>> {
        match self.commit(changes, since) {
            Ok(step) => {
                self.failures = 0;
                Ok(Some(step))
            }
            Err(error) => {
                self.failures += 1;
                let passing = !self.failures.is_multiple_of(PATIENT) && self.watch.has_news();
                Ok((!passing).then_some(Step::Failed(error)))
            }
        }
    }

    fn commit(&mut self, changes: Changes, since: Option<Instant>) -> Result<Step> {
        let begun = Instant::now();
        let progress = self.cx.progress("commit");
        let transaction = self.repo.begin()?;
        let modifier = &self.setup.modifier;
        let now = dates::file_time();
        let mut watched = self.tree.import(&transaction, &self.dir, changes, modifier, now)?;
        if watched.looked == Looked::First {
            report_unmatched(self.cx, &watched.modifier)?;
        }
        let parent = self.repo.resolve_rev_opt(&self.setup.branch)?;
        let unchanged = match &parent {
            Some(parent) => is_unchanged(&self.repo, parent, &watched.tree)?,
            None => false,
        };
        let commit = match parent.filter(|_| unchanged) {
            Some(parent) => parent,
            None => write(&self.setup, &transaction, parent, &watched)?,
        };
        // A tree that is that of the parent again has nothing new, and nothing to sync.
        if !unchanged || watched.looked != Looked::Changes {
            transaction.commit()?;
        }
        self.tree.committed(commit);
        if let Err(e) = watched.save_index(&self.repo) {
            self.cx.ui.words(format_args!("warning: the index was not kept: {e}"))?;
        }
        if watched.looked != Looked::Changes {
            self.look = begun.elapsed();
        }
        if unchanged {
            return Ok(Step::Unchanged(commit));
        }
        self.cx.refs_changed(&self.repo)?;
        drop(progress);
        let at = Instant::now();
        let took = at - begun;
        let settled = since.map_or(Duration::ZERO, |since| begun - since);
        let difference = self.difference(parent.as_ref(), &watched);
        let looked = watched.looked;
        Ok(Step::Committed(Round { commit, parent, difference, looked, settled, took, at }))
    }

    /// Nobody's commit fails because the one before it cannot be read.
    fn difference(&self, parent: Option<&Checksum>, watched: &Watched) -> Difference {
        let stats = &watched.stats;
        let all = stats.dirs + stats.files + stats.symlinks + stats.index_hits;
        let Some(parent) = parent else {
            return Difference { added: all, ..Difference::default() };
        };
        let old = self.repo.load_commit(parent).map(|commit| TreeId::of_commit(&commit));
        let found = old.map_err(CliError::from);
        found.and_then(|old| Difference::between(&self.repo, old, watched.tree)).unwrap_or_default()
    }
}

/// Writes the commit and queues the ref.
fn write(
    setup: &Setup,
    transaction: &Transaction<'_>,
    parent: Option<Checksum>,
    watched: &Watched,
) -> Result<Checksum> {
    let metadata = setup.metadata.collect(transaction.repo(), parent.as_ref())?;
    let metadata =
        setup.metadata.bind(transaction, metadata, Some(&setup.branch), &watched.tree)?;
    let request = CommitRequest {
        tree: watched.tree,
        parent,
        subject: setup.subject.clone(),
        body: setup.body.clone(),
        metadata,
        detached: setup.metadata.detached()?,
        timestamp: dates::commit_time()?,
    };
    let checksum = write_commit(transaction, request)?;
    transaction.set_ref(setup.branch.parse::<Refspec>()?, Some(checksum));
    Ok(checksum)
}

/// Every commit would change a repository in the tree, and so the tree.
fn refuse_repo_within(repo: &Repo, dir: &Dir) -> Result<()> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if real(repo.dir().path()).starts_with(real(dir.path())) {
        return Err(CliError::Advised(
            format!("the repository lies in {}", dir.path().display()),
            "every commit would be a change to commit; keep it elsewhere",
        ));
    }
    Ok(())
}
