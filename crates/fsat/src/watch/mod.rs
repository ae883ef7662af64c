//! Watching a tree: the kernel tells what changes, so that nobody has to look.
//!
//! A [`Watch`] gathers changes in a thread of its own, so that the kernel's queue stays short
//! whatever its owner is doing, and hands them out when the tree has been quiet for a while.
//! Two ways to ask the kernel stand behind [`Notifier`]: `fanotify` with one mark for the file
//! system, for which one has to be root, and `inotify` with one watch for each directory.
//!
//! What neither tells: writing through a memory map that stays open, file systems that are
//! mounted beneath the tree later, and changes of a file by a name outside the tree.

mod changes;
mod fanotify;
mod inotify;

pub use changes::{Change, Changes, Lost};

use std::io::PipeWriter;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::{Dir, FsError, Result};

/// How to ask the kernel.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// `fanotify` where it is allowed and covers the tree, `inotify` elsewhere.
    #[default]
    Auto,
    /// `fanotify`, or an error.
    Fanotify,
    /// `inotify`.
    Inotify,
}

/// A source of changes.
pub trait Notifier: Send {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// Is readable when there is something to take. May be another one after each
    /// [`Notifier::take`].
    fn fd(&self) -> BorrowedFd<'_>;

    /// Takes what there is, without waiting.
    fn take(&mut self, changes: &mut Changes) -> Result<()>;

    /// Whether all of the tree is watched. Where not, whoever relies on it has to look from
    /// time to time.
    fn is_whole(&self) -> bool {
        true
    }
}

/// Starts to watch the tree beneath `dir` without the thread of a [`Watch`].
///
/// # Errors
/// The system refuses: no descriptors left, or `fanotify` was asked for and is not allowed,
/// does not know the file system, or another file system is mounted in the tree.
pub fn notifier(dir: &Dir, backend: Backend) -> Result<Box<dyn Notifier>> {
    match backend {
        Backend::Inotify => Ok(Box::new(inotify::Inotify::start(dir)?)),
        Backend::Fanotify => Ok(Box::new(fanotify::Fanotify::start(dir)?)),
        Backend::Auto => match fanotify::Fanotify::start(dir) {
            Ok(fanotify) => Ok(Box::new(fanotify)),
            Err(_) => Ok(Box::new(inotify::Inotify::start(dir)?)),
        },
    }
}

/// When changes are handed out.
#[derive(Copy, Clone, Debug)]
pub struct Patience {
    /// After nothing more changed for this long,
    pub quiet: Duration,
    /// or the first change is this long ago: a tree that never rests is handed out too.
    pub at_most: Duration,
    /// How long to wait for a first change; for ever without.
    pub idle: Option<Duration>,
}

impl Change {
    /// Looks whether a name that came is the only one of its file.
    fn look(&mut self, root: &Dir, path: &std::path::Path) {
        match root.stat_opt(path) {
            Ok(Some(stat)) => self.linked = !stat.is_dir() && stat.nlink > 1,
            _ => self.unseen = true,
        }
    }
}

/// What came of waiting.
#[derive(Debug)]
pub enum Waited {
    /// The tree changed.
    Changed {
        /// What was noticed until now.
        changes: Changes,
        /// When the first of it was noticed.
        since: Instant,
    },
    /// Nothing changed for [`Patience::idle`].
    Idle,
    /// [`Stopper::stop`] was called. What was not handed out is dropped.
    Stopped,
}

/// A tree that is being watched, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    name: &'static str,
    reader: Option<JoinHandle<()>>,
    end: Option<PipeWriter>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    changes: Changes,
    since: Option<Instant>,
    latest: Option<Instant>,
    partial: bool,
    stopped: bool,
    failed: Option<FsError>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What is behind it is whole after every statement, so a panic elsewhere is no matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the waiting of a [`Watch`], from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Ends it, now and for all times after.
    pub fn stop(&self) {
        self.0.lock().stopped = true;
        self.0.news.notify_all();
    }
}

impl Watch {
    /// Watches the tree beneath `dir`. Whatever changes after this has returned is noticed.
    pub fn start(dir: &Dir, backend: Backend) -> Result<Watch> {
        Watch::over(notifier(dir, backend)?)
    }

    /// Gathers from any source.
    pub fn over(notifier: Box<dyn Notifier>) -> Result<Watch> {
        let failed = |e| FsError::new("make a pipe for", "the watch", e);
        let (ended, end) = std::io::pipe().map_err(failed)?;
        let name = notifier.name();
        let shared = Arc::new(Shared::default());
        shared.lock().partial = !notifier.is_whole();
        let theirs = Arc::clone(&shared);
        let reader = std::thread::spawn(move || gather(notifier, ended.as_fd(), &theirs));
        Ok(Watch { shared, name, reader: Some(reader), end: Some(end) })
    }

    /// What tells of changes: `fanotify` or `inotify`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether all of the tree is watched, as far as it is known.
    pub fn is_whole(&self) -> bool {
        !self.shared.lock().partial
    }

    /// Whether something changed that was not handed out yet.
    pub fn has_news(&self) -> bool {
        self.shared.lock().since.is_some()
    }

    /// A handle to end the waiting.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    /// Waits until there are changes and hands them out.
    ///
    /// # Errors
    /// The source of changes failed; nothing more comes from it.
    pub fn wait(&self, patience: Patience) -> Result<Waited> {
        let begun = Instant::now();
        let mut state = self.shared.lock();
        loop {
            if state.stopped {
                return Ok(Waited::Stopped);
            }
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            let until = match (state.since, state.latest) {
                (Some(since), Some(latest)) => {
                    Some((latest + patience.quiet).min(since + patience.at_most))
                }
                _ => patience.idle.map(|idle| begun + idle),
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                state.latest = None;
                return Ok(match state.since.take() {
                    Some(since) => {
                        Waited::Changed { changes: std::mem::take(&mut state.changes), since }
                    }
                    None => Waited::Idle,
                });
            }
            state = match left {
                None => self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.shared.news.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has nothing left to do.
            let _ = reader.join();
        }
    }
}

/// Takes changes as they come, until the other end of `ended` is dropped.
fn gather(mut notifier: Box<dyn Notifier>, ended: BorrowedFd<'_>, shared: &Shared) {
    loop {
        let mut changes = Changes::new();
        let taken = wait_for(notifier.fd(), ended)
            .map_err(|e| FsError::new("wait for", "changes", e))
            .and_then(
                |ready| if ready { notifier.take(&mut changes).map(|()| true) } else { Ok(false) },
            );
        let mut state = shared.lock();
        match taken {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                state.failed = Some(error);
                shared.news.notify_all();
                return;
            }
        }
        state.partial = !notifier.is_whole();
        if !changes.is_empty() {
            state.changes.merge(changes);
            let now = Instant::now();
            state.since.get_or_insert(now);
            state.latest = Some(now);
            shared.news.notify_all();
        }
    }
}

/// Whether `fd` is readable; false where `ended` was closed at its other end.
fn wait_for(fd: BorrowedFd<'_>, ended: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let mut fds = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
            Ok(_) => return Ok(fds[0].revents().is_empty()),
        }
    }
}
