//! What brings a commit to where it shall go, beside the loop.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A thread that is told of commits.
#[derive(Debug)]
pub struct Agent {
    commits: Sender<String>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What the thread shares with who ends it.
#[derive(Debug, Default)]
pub struct Shared {
    child: Mutex<Option<Child>>,
    stopped: AtomicBool,
}

impl Agent {
    /// Starts the thread, which runs until nothing more can be received.
    pub fn spawn(run: impl FnOnce(&Receiver<String>, &Shared) + Send + 'static) -> Agent {
        let (commits, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(&receiver, &theirs));
        Agent { commits, shared, thread }
    }

    /// Has `commit` brought there, or what came after it by then.
    pub fn upgrade(&self, commit: &str) {
        // Without a receiver it was stopped.
        let _ = self.commits.send(commit.to_string());
    }

    /// Ends the program that may be killed, and waits for the thread.
    pub fn stop(self) {
        self.shared.stopped.store(true, Relaxed);
        drop(self.commits);
        self.shared.kill();
        let _ = self.thread.join();
    }
}

impl Shared {
    /// Whether it is to end.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Notes a program that may be killed at the end.
    pub fn hold(&self, child: Child) {
        *self.child() = Some(child);
        if self.is_stopped() {
            self.kill();
        }
    }

    /// Gives it back, to be waited for.
    pub fn release(&self) -> Option<Child> {
        self.child().take()
    }

    fn kill(&self) {
        if let Some(child) = &mut *self.child() {
            // One that has ended needs no killing.
            let _ = child.kill();
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
