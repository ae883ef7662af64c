use std::sync::Arc;

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

use super::engine::Engine;
use super::receive::{Job, Place, Task};
use crate::delta::{DeltaIndex, DeltaName, DeltaPlan};
use crate::pull::{DeltaForecast, Outcome};
use crate::{CommitState, Repo, RepoError};

/// A delta that a commit comes by.
pub(super) struct DeltaUse {
    pub plan: Arc<DeltaPlan>,
    /// Parts that are not applied yet; `None` before the first is begun.
    left: Option<usize>,
    /// What to look into once they are.
    root: Option<Root>,
}

/// The root of a commit, and that of one known to be whole which is much like it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Root {
    pub tree: Checksum,
    pub meta: Checksum,
    pub base: Option<Checksum>,
}

impl Engine<'_> {
    /// Looks for a delta to a commit: in the summary, else in the list of deltas to this commit
    /// where the remote has such lists.
    pub(super) fn begin_delta(&mut self, commit: Checksum) -> Outcome<()> {
        if is_whole(self.receive.txn.repo(), &commit)? {
            if !self.options.require_static_deltas {
                return self.begin_commit(commit);
            }
            // As little as possible is wanted: not even new signatures.
            if let Some(entry) = self.commits.get_mut(&commit) {
                (entry.stored, entry.done) = (true, true);
            }
            return Ok(());
        }
        match self.choose_delta(&commit)? {
            Some(name) => self.want_superblock(name),
            None if self.wanted.indexed_deltas => self.want_metadata(Job::DeltaIndex(commit)),
            None => return self.without_delta(commit),
        }
        Ok(())
    }

    /// The list of deltas to `commit`, `None` where there is none.
    pub(super) fn take_delta_index(
        &mut self,
        commit: Checksum,
        index: Option<DeltaIndex>,
    ) -> Outcome<()> {
        self.deltas_listed.0.extend(index.unwrap_or_default().0);
        match self.choose_delta(&commit)? {
            Some(name) => {
                self.want_superblock(name);
                Ok(())
            }
            None => self.without_delta(commit),
        }
    }

    /// Objects one by one, unless only a delta will do.
    pub(super) fn without_delta(&mut self, commit: Checksum) -> Outcome<()> {
        if !self.options.require_static_deltas {
            return self.begin_commit(commit);
        }
        let names = self.commits.get(&commit).map(|entry| entry.names.as_slice());
        let name = names.and_then(<[_]>::first).map_or("", |name| name.as_str());
        let what = format!("Static deltas required, but none found for {name} to {commit}");
        Err(RepoError::Refused(what).into())
    }

    fn want_superblock(&mut self, name: DeltaName) {
        let digest = self.deltas_listed.digest(&name).copied();
        self.want_metadata(Job::Superblock { name, digest });
    }

    /// The delta from the newest commit that is here and whole; one from nothing only where the
    /// ref is new here, since else a few objects are less than everything.
    fn choose_delta(&self, commit: &Checksum) -> Outcome<Option<DeltaName>> {
        let repo = self.receive.txn.repo();
        let mut newest: Option<(u64, DeltaName)> = None;
        let mut from_nothing = None;
        for (name, _) in self.deltas_listed.0.iter().filter(|(name, _)| name.to == *commit) {
            let Some(from) = name.from else {
                from_nothing = Some(*name);
                continue;
            };
            if !is_whole(repo, &from)? {
                continue;
            }
            let time = repo.load_commit(&from)?.timestamp;
            if newest.is_none_or(|(known, _)| time > known) {
                newest = Some((time, *name));
            }
        }
        if let Some((_, name)) = newest {
            return Ok(Some(name));
        }
        let names = self.commits.get(commit).map(|entry| entry.names.clone());
        for name in names.unwrap_or_default() {
            if self.bases.follows(&name)? {
                return Ok(None);
            }
        }
        Ok(from_nothing)
    }

    /// Takes the commit out of a delta; its parts come when its signatures held.
    pub(super) fn take_plan(&mut self, plan: DeltaPlan) -> Outcome<()> {
        let commit = plan.superblock.name.to;
        if self.options.dry_run {
            let forecast = self.stats.forecast.get_or_insert_default();
            forecast.add(&plan);
            return Ok(());
        }
        let parsed = plan.superblock.commit().map_err(RepoError::from)?;
        if let Some(entry) = self.commits.get_mut(&commit) {
            match plan.has_commit {
                true => entry.stored = true,
                false => {
                    entry.fetched = Some((plan.superblock.commit_bytes.clone(), Box::new(parsed)));
                }
            }
        }
        self.deltas.insert(commit, DeltaUse { plan: Arc::new(plan), left: None, root: None });
        // There may be signatures that are newer than the delta.
        self.want_metadata(Job::Detached(commit));
        Ok(())
    }

    /// Begins with the parts of the delta to `commit`. False where there is nothing to wait for:
    /// then the tree is looked into.
    pub(super) fn begin_parts(&mut self, commit: &Checksum, root: Root) -> bool {
        let Some(delta) = self.deltas.get_mut(commit) else { return false };
        let needed = delta.plan.parts.len() + delta.plan.patched.len();
        if delta.left.is_some() || needed == 0 {
            return false;
        }
        delta.left = Some(needed);
        delta.root = Some(root);
        let plan = Arc::clone(&delta.plan);
        for index in plan.patched.iter().copied() {
            self.add_task(Task::Patch(Arc::clone(&plan), index));
        }
        for index in plan.parts.iter().copied() {
            self.begin_part(&plan, index);
        }
        for fallback in &plan.fallbacks {
            if self.files.insert(fallback.name.checksum) {
                self.want(Job::File(fallback.name.checksum), Place::Remote);
            }
        }
        true
    }

    pub(super) fn begin_part(&mut self, plan: &Arc<DeltaPlan>, index: usize) {
        let job = Job::Part { plan: Arc::clone(plan), index };
        match plan.superblock.inline_part(index) {
            Some(bytes) => self.add_task(Task::Inline(job, bytes)),
            None => self.want_part(job),
        }
    }

    /// A part was applied. After the last one the tree is looked into: what the delta did not
    /// make is fetched by itself, so that the commit is whole whatever the delta was.
    pub(super) fn part_applied(&mut self, commit: &Checksum) -> Outcome<()> {
        let Some(delta) = self.deltas.get_mut(commit) else { return Ok(()) };
        let left = delta.left.unwrap_or(0).saturating_sub(1);
        delta.left = Some(left);
        match (left, delta.root.take()) {
            (0, Some(root)) => self.look_into(root),
            (_, root) => {
                delta.root = root;
                Ok(())
            }
        }
    }
}

impl DeltaForecast {
    fn add(&mut self, plan: &DeltaPlan) {
        let superblock = &plan.superblock;
        for (index, part) in superblock.parts.iter().enumerate() {
            self.parts += 1;
            self.size = self.size.saturating_add(part.size);
            self.unpacked = self.unpacked.saturating_add(part.usize);
            // A part that can be done without is not fetched.
            if !plan.parts.contains(&index) {
                self.parts_here += 1;
                self.size_here = self.size_here.saturating_add(part.size);
            }
        }
        for object in &superblock.fallbacks {
            self.parts += 1;
            self.size = self.size.saturating_add(object.size);
            self.unpacked = self.unpacked.saturating_add(object.usize);
            if !plan.fallbacks.iter().any(|f| f.name == object.name) {
                self.parts_here += 1;
                self.size_here = self.size_here.saturating_add(object.size);
            }
        }
    }
}

/// Whether a commit is in the repository with all that it needs.
pub(super) fn is_whole(repo: &Repo, commit: &Checksum) -> Outcome<bool> {
    Ok(repo.has_object(&ObjectName::new(*commit, ObjectType::Commit))?
        && repo.commit_state(commit)? == CommitState::Normal)
}
