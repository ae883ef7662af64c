//! What a pull still has to fetch and to work on, and how it is handed out.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use trefoil_format::object::MAX_METADATA_SIZE;

use super::PullProgress;
use super::engine::{Engine, Event};
use super::receive::{Job, Place, Task};
use crate::delta::Limits;
use crate::pull::beside::TreeAt;
use crate::pull::transport::{FileRequest, Site};

/// Where so many bodies wait for the workers, no new request is made.
const WAITING: usize = 64;
/// Parts of deltas on their way at once, as in libostree.
const PARTS: usize = 2;

impl Engine<'_> {
    pub(super) fn hand_out(&mut self, tasks: &Sender<(Job, Task)>) {
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
    pub(super) fn request(&mut self, sender: &Sender<Event>) {
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
