use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::commit::Commit;
use trefoil_format::object::ObjectName;
use trefoil_format::sizes::{self, ObjectSize, SIZES_KEY};

use super::engine::Engine;
use super::receive::Job;
use super::{PullProgress, PullSource};
use crate::pull::transport::Transport;

/// What a pull tells those who follow it.
pub(super) struct Account {
    pub progress: Arc<PullProgress>,
    /// Whether anyone follows: sizes are of no other use.
    followed: bool,
    /// What objects weigh on their way, in the order of their names.
    sizes: Vec<ObjectSize>,
}

impl Account {
    pub fn new(source: &PullSource<'_>) -> Self {
        Account {
            progress: source.progress.clone().unwrap_or_default(),
            followed: source.progress.is_some(),
            sizes: Vec::new(),
        }
    }

    /// Notes how much came so far.
    pub fn transferred(&self, transport: &dyn Transport) {
        self.progress.bytes.store(transport.transferred().bytes, Relaxed);
    }

    /// Notes that a file will be asked for, where it is known how long it is.
    pub fn expect(&self, job: &Job, transport: &dyn Transport) {
        let size = match job {
            Job::Part { plan, index } => Some(plan.superblock.parts[*index].size),
            Job::Tree(_) | Job::Meta(_) | Job::File(_) => self.size(&job.object()),
            _ => None,
        };
        let Some(size) = size.filter(|_| self.followed) else { return };
        let expected = match self.progress.bytes_expected.load(Relaxed) {
            // What came before it was known what to expect.
            0 => transport.transferred().bytes,
            expected => expected,
        };
        self.progress.bytes_expected.store(expected.saturating_add(size), Relaxed);
    }

    fn size(&self, name: &ObjectName) -> Option<u64> {
        let found = self.sizes.binary_search_by(|size| size.name.cmp(name)).ok()?;
        Some(self.sizes[found].archived)
    }
}

impl Engine<'_> {
    /// Learns what the objects of a commit weigh, if it tells and someone wants to know. Only
    /// what is fetched is counted, since most of it may be here.
    pub(super) fn note_sizes(&mut self, commit: &Commit) {
        let Some(value) = commit.metadata.get(SIZES_KEY).filter(|_| self.account.followed) else {
            return;
        };
        // What cannot be read tells nothing; the commit is no worse for it.
        self.account.sizes.extend(sizes::from_value(value).unwrap_or_default());
        self.account.sizes.sort_unstable_by_key(|size| size.name);
    }
}
