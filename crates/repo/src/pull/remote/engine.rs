use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::RefName;

use super::PullSource;
use super::account::Account;
use super::deltas::DeltaUse;
use super::receive::{Job, Receive, Task, Work};
use super::resolve::Wanted;
use crate::Transaction;
use crate::delta::DeltaIndex;
use crate::pull::beside::TreeAt;
use crate::pull::checks::Bases;
use crate::pull::transport::{Answer, Body, FetchError};
use crate::pull::{Outcome, PullOptions, PullStats};
use crate::traverse::{ChecksumSet, Depth};

/// Most workers, whatever the machine.
const WORKERS: usize = 8;
/// How often, at least, those who follow are told how far it has come.
const LOOK: Duration = Duration::from_millis(200);

/// What reaches the thread that decides.
pub(super) enum Event {
    Answered(Job, std::result::Result<Answer, FetchError>),
    Worked(Job, Outcome<Work>),
}

/// How far one commit is.
#[derive(Default)]
pub(super) struct CommitEntry {
    pub depth: Option<Depth>,
    /// The refs that lead to it; a parent has none.
    pub names: Vec<RefName>,
    /// Asked for, rather than met as a parent.
    pub is_tip: bool,
    pub(super) fetched: Option<(Vec<u8>, Box<Commit>)>,
    pub detached: Option<Option<Metadata>>,
    /// The object is in the repository or the transaction.
    pub stored: bool,
    pub done: bool,
}

/// What a pull came to.
pub(super) struct Finished {
    /// All commits that were pulled.
    pub commits: Vec<Checksum>,
    /// Those of them that were not there before.
    pub fetched: Vec<Checksum>,
}

/// The state of one pull. Only the thread that runs it touches it.
pub(super) struct Engine<'a> {
    pub(super) receive: Receive<'a>,
    pub(super) source: &'a PullSource<'a>,
    pub(super) options: &'a PullOptions,
    pub(super) bases: Bases<'a>,
    pub(super) account: Account,
    pub(super) commits: HashMap<Checksum, CommitEntry>,
    pub(super) files: ChecksumSet,
    pub(super) metas: ChecksumSet,
    pub(super) trees: HashSet<(Checksum, String)>,
    /// Directories on their way, and other paths at which they are to be looked into.
    pub(super) arriving: HashMap<Checksum, Vec<TreeAt>>,
    pub(super) metadata_queue: VecDeque<Job>,
    pub(super) content_queue: VecDeque<Job>,
    pub(super) part_queue: VecDeque<Job>,
    /// Parts of deltas that were asked for and not yet applied.
    pub(super) parts_in_flight: usize,
    pub(super) tasks: VecDeque<Task>,
    pub(super) in_flight: usize,
    pub(super) working: usize,
    pub(super) stats: PullStats,
    pub(super) fetched: Vec<Checksum>,
    pub(super) wanted: &'a Wanted,
    /// Deltas that the remote is known to have.
    pub(super) deltas_listed: DeltaIndex,
    pub(super) deltas: HashMap<Checksum, DeltaUse>,
}

impl<'a> Engine<'a> {
    pub fn new(
        txn: &'a Transaction<'a>,
        source: &'a PullSource<'a>,
        options: &'a PullOptions,
        wanted: &'a Wanted,
    ) -> Self {
        Engine {
            receive: Receive { txn, source, options, large: Mutex::new(()) },
            source,
            options,
            bases: Bases::new(txn.repo(), options),
            account: Account::new(source),
            commits: HashMap::new(),
            files: ChecksumSet::default(),
            metas: ChecksumSet::default(),
            trees: HashSet::new(),
            arriving: HashMap::new(),
            metadata_queue: VecDeque::new(),
            content_queue: VecDeque::new(),
            part_queue: VecDeque::new(),
            parts_in_flight: 0,
            tasks: VecDeque::new(),
            in_flight: 0,
            working: 0,
            stats: PullStats::default(),
            fetched: Vec::new(),
            wanted,
            deltas_listed: wanted.deltas.clone(),
            deltas: HashMap::new(),
        }
    }

    /// The numbers, and the commits that are here now.
    pub fn finish(self) -> (PullStats, Finished) {
        let done = self.commits.iter().filter(|(_, entry)| entry.done && entry.stored);
        let commits = done.map(|(checksum, _)| *checksum).collect();
        (self.stats, Finished { commits, fetched: self.fetched })
    }

    /// Fetches everything. After an error nothing is under way any more.
    pub fn run(&mut self) -> Outcome<()> {
        let wanted = self.wanted;
        for (key, commit) in &wanted.refs {
            self.want_commit(*commit, self.options.depth, Some(&key.name), true)?;
        }
        for commit in &wanted.commits {
            self.want_commit(*commit, self.options.depth, None, true)?;
        }
        let stop = AtomicBool::new(false);
        let (task_sender, task_receiver) = mpsc::channel();
        let task_receiver = Mutex::new(task_receiver);
        let (event_sender, events) = mpsc::channel();
        let receive = Receive {
            txn: self.receive.txn,
            source: self.source,
            options: self.options,
            large: Mutex::new(()),
        };
        std::thread::scope(|scope| {
            for _ in 0..workers() {
                let (tasks, events) = (&task_receiver, event_sender.clone());
                let (receive, stop) = (&receive, &stop);
                scope.spawn(move || worker(receive, tasks, &events, stop));
            }
            let outcome = self.decide(&task_sender, &event_sender, &events);
            if outcome.is_err() {
                stop.store(true, Relaxed);
                self.source.transport.abandon();
            }
            drop(task_sender);
            outcome
        })
    }

    fn decide(
        &mut self,
        tasks: &Sender<(Job, Task)>,
        sender: &Sender<Event>,
        events: &Receiver<Event>,
    ) -> Outcome<()> {
        loop {
            self.hand_out(tasks);
            self.request(sender);
            if self.in_flight == 0 && self.working == 0 {
                return Ok(());
            }
            self.account.transferred(self.source.transport);
            let event = match events.recv_timeout(LOOK) {
                Ok(event) => event,
                // One large file may be all that is on its way.
                Err(RecvTimeoutError::Timeout) => continue,
                // We hold a sender, so there is always an event to come.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            match event {
                Event::Answered(job, answer) => {
                    self.in_flight -= 1;
                    self.answered(job, answer)?;
                }
                Event::Worked(job, work) => {
                    self.working -= 1;
                    if let Job::Part { plan, index } = &job
                        && plan.superblock.inline_part(*index).is_none()
                    {
                        self.parts_in_flight -= 1;
                    }
                    self.worked(job, work?)?;
                }
            }
        }
    }
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS)
}

fn worker(
    receive: &Receive<'_>,
    tasks: &Mutex<Receiver<(Job, Task)>>,
    events: &Sender<Event>,
    stop: &AtomicBool,
) {
    loop {
        let next = tasks.lock().unwrap_or_else(|e| e.into_inner()).recv();
        let Ok((job, task)) = next else { return };
        // After an error what is here is still kept, so that it need not come again.
        if stop.load(Relaxed) && !matches!(task, Task::Receive(_, Body::Whole(_))) {
            continue;
        }
        let work = receive.work(task);
        if events.send(Event::Worked(job, work)).is_err() {
            return;
        }
    }
}
