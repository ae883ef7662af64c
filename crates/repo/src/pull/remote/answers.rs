//! What a pull makes of what it asked for.

use super::PullProgress;
use super::engine::Engine;
use super::receive::{Job, Level, Task, Work};
use crate::pull::Outcome;
use crate::pull::transport::{Answer, Body, FetchError};

impl Engine<'_> {
    pub(super) fn answered(
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

    pub(super) fn worked(&mut self, job: Job, work: Work) -> Outcome<()> {
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
}
