use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::RefName;
use trefoil_format::object::MAX_METADATA_SIZE;

use super::account::Account;
use super::deltas::DeltaUse;
use super::receive::{Job, Level, Place, Receive, Task, Work};
use super::resolve::Wanted;
use super::{PullProgress, PullSource};
use crate::Transaction;
use crate::delta::{DeltaIndex, Limits};
use crate::pull::beside::TreeAt;
use crate::pull::checks::Bases;
use crate::pull::transport::{Answer, Body, FetchError, FileRequest, Site};
use crate::pull::{Outcome, PullOptions, PullStats};
use crate::traverse::{ChecksumSet, Depth};

/// Most workers, whatever the machine.
const WORKERS: usize = 8;
/// Where so many bodies wait for the workers, no new request is made.
const WAITING: usize = 64;

/// How often, at least, those who follow are told how far it has come.
const LOOK: Duration = Duration::from_millis(200);

/// Parts of deltas on their way at once, as in libostree.
const PARTS: usize = 2;

/// What reaches the thread that decides.
enum Event {
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
    trees: HashSet<(Checksum, String)>,
    /// Directories on their way, and other paths at which they are to be looked into.
    arriving: HashMap<Checksum, Vec<TreeAt>>,
    metadata_queue: VecDeque<Job>,
    content_queue: VecDeque<Job>,
    part_queue: VecDeque<Job>,
    /// Parts of deltas that were asked for and not yet applied.
    parts_in_flight: usize,
    tasks: VecDeque<Task>,
    in_flight: usize,
    working: usize,
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

    fn hand_out(&mut self, tasks: &Sender<(Job, Task)>) {
        while let Some(task) = self.tasks.pop_front() {
            let job = match &task {
                Task::Receive(job, _) | Task::Import(job, _) | Task::Inline(job, _) => job.clone(),
                Task::Scan(at) => Job::Tree(at.clone()),
                Task::Patch(plan, index) => Job::Patch { plan: Arc::clone(plan), index: *index },
            };
            self.working += 1;
            // The workers live as long as the sender.
            let _ = tasks.send((job, task));
        }
    }

    /// Makes requests as long as there is something to fetch and room: metadata first, so that
    /// what is to come is known early.
    fn request(&mut self, sender: &Sender<Event>) {
        while self.in_flight < self.source.transport.parallel() && self.working < WAITING {
            let part = match self.parts_in_flight < PARTS {
                true => self.part_queue.pop_front(),
                false => None,
            };
            self.parts_in_flight += usize::from(part.is_some());
            let next = self.metadata_queue.pop_front();
            let next = part.or(next).or_else(|| self.content_queue.pop_front());
            let Some(job) = next else { return };
            self.in_flight += 1;
            let request = self.file_request(&job);
            let sender = sender.clone();
            let done = move |answer| {
                // After an error nobody listens any more.
                let _ = sender.send(Event::Answered(job, answer));
            };
            self.source.transport.start(request, Box::new(done));
        }
    }

    fn file_request(&self, job: &Job) -> FileRequest {
        let (site, limit) = match job {
            Job::File(_) => (Site::Content, u64::MAX),
            Job::Detached(_) => (Site::Main, MAX_METADATA_SIZE),
            Job::Commit(commit) => {
                let size = self.wanted.sizes.get(commit).copied().filter(|size| *size > 0);
                (Site::Content, size.unwrap_or(MAX_METADATA_SIZE).min(MAX_METADATA_SIZE))
            }
            Job::Part { plan, index } => {
                (Site::Content, plan.superblock.parts[*index].size.min(Limits::default().part))
            }
            _ => (Site::Content, MAX_METADATA_SIZE),
        };
        FileRequest::new(site, job.path(), limit)
    }

    fn answered(
        &mut self,
        job: Job,
        answer: std::result::Result<Answer, FetchError>,
    ) -> Outcome<()> {
        match answer {
            Ok(Answer::File { body, .. }) => {
                self.received(&job);
                self.tasks.push_back(Task::Receive(job, body));
                Ok(())
            }
            Ok(Answer::NotModified) => {
                self.tasks.push_back(Task::Receive(job, Body::Whole(Vec::new())));
                Ok(())
            }
            Err(e) if e.is_missing() => self.missing(job, e),
            Err(e) => Err(e.into()),
        }
    }

    fn received(&mut self, job: &Job) {
        match job {
            Job::File(_) => {
                self.stats.content_fetched += 1;
                PullProgress::add(&self.account.progress.content_fetched);
            }
            Job::Part { .. } => self.stats.delta_parts_fetched += 1,
            _ => {
                self.stats.metadata_fetched += 1;
                PullProgress::add(&self.account.progress.metadata_fetched);
            }
        }
    }

    /// The remote does not have a file: signatures are optional, and histories may end in the
    /// void.
    fn missing(&mut self, job: Job, error: FetchError) -> Outcome<()> {
        match job {
            Job::Detached(commit) => {
                // libostree 2022.7 counts the answer that there are none.
                self.received(&Job::Detached(commit));
                self.worked(Job::Detached(commit), Work::Detached(None))
            }
            Job::Commit(commit) if self.commits.get(&commit).is_some_and(|e| !e.is_tip) => {
                if self.wanted.tombstones {
                    self.want_metadata(Job::Tombstone(commit));
                }
                Ok(())
            }
            Job::Tombstone(_) => Ok(()),
            Job::DeltaIndex(commit) => self.take_delta_index(commit, None),
            Job::Superblock { name, .. } => self.without_delta(name.to),
            _ => Err(error.into()),
        }
    }

    fn worked(&mut self, job: Job, work: Work) -> Outcome<()> {
        match (job, work) {
            (Job::Commit(checksum), Work::Commit(bytes, commit)) => {
                if let Some(entry) = self.commits.get_mut(&checksum) {
                    entry.fetched = Some((bytes, commit));
                }
                self.try_commit(checksum)
            }
            (Job::Commit(checksum), Work::ImportedCommit(detached)) => {
                self.stats.metadata_imported += 1;
                self.fetched.push(checksum);
                if let Some(entry) = self.commits.get_mut(&checksum) {
                    entry.stored = true;
                    entry.detached = Some(detached);
                }
                self.try_commit(checksum)
            }
            (Job::Detached(checksum), Work::Detached(metadata)) => {
                if let Some(entry) = self.commits.get_mut(&checksum) {
                    entry.detached = Some(metadata);
                }
                self.try_commit(checksum)
            }
            (Job::Tree(at), Work::Level(level)) => {
                self.stats.dirtrees_scanned += 1;
                for other in self.arriving.remove(&at.tree).unwrap_or_default() {
                    self.tasks.push_back(Task::Scan(other));
                }
                self.take_level(level);
                Ok(())
            }
            (Job::DeltaIndex(commit), Work::DeltaIndex(index)) => {
                self.take_delta_index(commit, Some(index))
            }
            (Job::Superblock { .. }, Work::Plan(plan)) => self.take_plan(*plan),
            (Job::Patch { plan, index }, Work::PartNeeded) => {
                self.begin_part(&plan, index);
                Ok(())
            }
            (Job::Part { plan, .. } | Job::Patch { plan, .. }, _) => {
                self.part_applied(&plan.superblock.name.to)
            }
            (Job::Tombstone(commit), _) => Ok(self.receive.txn.repo().write_tombstone(&commit)?),
            _ => Ok(()),
        }
    }

    fn take_level(&mut self, level: Level) {
        for (checksum, place) in level.files {
            if self.files.insert(checksum) {
                self.want(Job::File(checksum), place);
            }
        }
        for (checksum, place) in level.metas {
            if self.metas.insert(checksum) {
                self.want(Job::Meta(checksum), place);
            }
        }
        for (at, place) in level.below {
            self.want_tree(at, place);
        }
    }

    pub(super) fn want_tree(&mut self, at: TreeAt, place: Place) {
        // Where only some paths are wanted, the same directory elsewhere is another matter.
        let path = if self.options.subdirs.is_empty() { String::new() } else { at.path.clone() };
        if !self.trees.insert((at.tree, path)) {
            return;
        }
        if let Some(others) = self.arriving.get_mut(&at.tree) {
            others.push(at);
            return;
        }
        match place {
            Place::Here => self.tasks.push_back(Task::Scan(at)),
            place => {
                self.arriving.insert(at.tree, Vec::new());
                self.want(Job::Tree(at), place);
            }
        }
    }

    pub(super) fn want(&mut self, job: Job, place: Place) {
        match (place, &job) {
            (Place::Here, _) => {}
            (Place::Cache(cache), Job::File(_)) => {
                self.stats.content_imported += 1;
                self.tasks.push_back(Task::Import(job, cache));
            }
            (Place::Cache(cache), _) => {
                // A commit is counted when it is here.
                self.stats.metadata_imported += u64::from(!matches!(job, Job::Commit(_)));
                self.tasks.push_back(Task::Import(job, cache));
            }
            (Place::Remote, Job::File(_)) => {
                PullProgress::add(&self.account.progress.content_requested);
                self.account.expect(&job, self.source.transport);
                self.content_queue.push_back(job);
            }
            (Place::Remote, _) => self.want_metadata(job),
        }
    }

    /// Parts are large: no more than two of them are on their way at once, before all else.
    pub(super) fn want_part(&mut self, job: Job) {
        self.account.expect(&job, self.source.transport);
        self.part_queue.push_back(job);
    }

    pub(super) fn add_task(&mut self, task: Task) {
        self.tasks.push_back(task);
    }

    pub(super) fn want_metadata(&mut self, job: Job) {
        PullProgress::add(&self.account.progress.metadata_requested);
        self.account.expect(&job, self.source.transport);
        self.metadata_queue.push_back(job);
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
