use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::LockMode;

use super::{Finding, FsckError, FsckEvent, FsckOptions, FsckReport, ObjectProblem, check_object};
use crate::bindings::{verify_back_refs, verify_bindings};
use crate::prune::ref_targets;
use crate::traverse::{Depth, Reachable, Traversal};
use crate::{CommitState, Repo, RepoError, Result};

/// Objects checked between two progress events.
const CHUNK: usize = 512;

/// Checks a repository as `ostree fsck` does: refs, then commits, then every object that a
/// complete commit needs, by several threads. Takes no lock. Commits that turn out to lack an
/// object are marked partial, so that a pull fetches it again.
///
/// # Errors
/// The first corrupt object, unless `all` or `delete`; a ref without its commit; a binding.
pub fn fsck(
    repo: &mut Repo,
    options: FsckOptions,
    watch: &mut dyn FnMut(FsckEvent<'_>),
) -> std::result::Result<FsckReport, FsckError> {
    let bindings = options.verify_bindings || options.verify_back_refs;
    let options = FsckOptions { verify_bindings: bindings, ..options };
    let mut run = Run { repo, options, watch, report: FsckReport::default() };
    run.check_refs()?;
    let commits = run.check_commits()?;
    (run.watch)(FsckEvent::VerifyingObjects(commits.len() as u64));
    run.report.commits = commits.len() as u64;
    run.check_objects(&commits)?;
    let mut report = run.report;
    if options.add_tombstones {
        add_tombstones(repo, &mut report, watch)?;
    }
    Ok(report)
}

struct Run<'r, 'w> {
    repo: &'r Repo,
    options: FsckOptions,
    watch: &'w mut dyn FnMut(FsckEvent<'_>),
    report: FsckReport,
}

type Outcome<T> = std::result::Result<T, FsckError>;

impl Run<'_, '_> {
    fn check_refs(&mut self) -> Outcome<()> {
        (self.watch)(FsckEvent::ValidatingRefs);
        for (refspec, commit) in self.repo.list_refs(None)? {
            self.check_ref(&commit, None, refspec.name.as_str())?;
        }
        (self.watch)(FsckEvent::ValidatingCollectionRefs);
        if let Some(id) = self.repo.config().collection_id.clone() {
            for (refspec, commit) in self.repo.list_refs(None)? {
                if refspec.remote.is_none() {
                    self.check_ref(&commit, Some(&id), refspec.name.as_str())?;
                }
            }
        }
        for ((id, name), commit) in self.repo.list_mirror_refs()? {
            self.check_ref(&commit, Some(id.as_str()), name.as_str())?;
        }
        Ok(())
    }

    fn check_ref(&mut self, commit: &Checksum, id: Option<&str>, name: &str) -> Outcome<()> {
        let object = ObjectName::new(*commit, ObjectType::Commit);
        if let Err(problem) = check_object(self.repo, &object) {
            self.found(object, Vec::new(), problem)?;
        }
        let loaded = self.repo.load_commit(commit).map_err(|source| FsckError::RefCommit {
            what: id.map_or(name.to_string(), |id| format!("({id}, {name})")),
            source,
        })?;
        if self.options.verify_bindings {
            verify_bindings(&loaded, id, Some(name))
                .map_err(|source| FsckError::Binding { commit: *commit, source })?;
        }
        Ok(())
    }

    /// The complete commits.
    fn check_commits(&mut self) -> Outcome<Vec<Checksum>> {
        (self.watch)(FsckEvent::EnumeratingCommits);
        let mut names: BTreeSet<Checksum> = self.repo.list_commits()?.into_iter().collect();
        if let Some(parent) = self.repo.parent() {
            names.extend(parent.list_commits()?);
        }
        let mut complete = Vec::new();
        for checksum in names {
            match self.repo.commit_state(&checksum)? {
                CommitState::Normal => complete.push(checksum),
                state => {
                    self.report.partial += 1;
                    self.report.fsck_partial += u64::from(state == CommitState::PartialFsck);
                }
            }
            // A broken one is reported with the objects.
            let Ok(commit) = self.repo.load_commit(&checksum) else { continue };
            if self.options.verify_back_refs {
                verify_back_refs(self.repo, &checksum, &commit)?;
            }
            if self.options.add_tombstones && self.lacks_parent(&commit)? {
                self.report.tombstones.push(checksum);
            }
        }
        Ok(complete)
    }

    fn lacks_parent(&self, commit: &Commit) -> Result<bool> {
        let Some(parent) = commit.parent else { return Ok(false) };
        Ok(!self.repo.has_object(&ObjectName::new(parent, ObjectType::Commit))?)
    }

    fn check_objects(&mut self, commits: &[Checksum]) -> Outcome<()> {
        let mut traversal = Traversal::new(self.repo).collect_bad();
        let mut unreadable = Vec::new();
        for commit in commits {
            if traversal.add(commit, Depth::Parents(0)).is_err() {
                unreadable.push(*commit);
            }
        }
        let mut objects: Vec<ObjectName> = traversal.into_reachable().names().collect();
        objects.extend(unreadable.iter().map(|c| ObjectName::new(*c, ObjectType::Commit)));
        objects.sort_unstable();
        objects.dedup();
        let total = objects.len() as u64;
        self.report.objects = total;
        let mut owners = Owners { repo: self.repo, commits, sets: None };
        for (number, chunk) in objects.chunks(CHUNK).enumerate() {
            let bad: Vec<(ObjectName, RepoError)> = chunk
                .par_iter()
                .filter_map(|name| check_object(self.repo, name).err().map(|e| (*name, e)))
                .collect();
            for (name, problem) in bad {
                let commits = owners.of(&name)?;
                self.found(name, commits, problem)?;
            }
            let done = (number * CHUNK + chunk.len()) as u64;
            (self.watch)(FsckEvent::Progress { done, total });
        }
        Ok(())
    }

    /// Records a finding, or ends the check with it.
    fn found(
        &mut self,
        object: ObjectName,
        commits: Vec<Checksum>,
        problem: RepoError,
    ) -> Outcome<()> {
        let missing = problem.is_not_found();
        let problem = (!missing).then(|| ObjectProblem { object, source: Box::new(problem) });
        let finding = match problem {
            Some(source) if !self.options.all && !self.options.delete => {
                return Err(match commits.is_empty() {
                    true => FsckError::CorruptCommit(source),
                    false => FsckError::Corrupt { commits, source },
                });
            }
            problem => Finding { object, commits, problem },
        };
        (self.watch)(FsckEvent::Finding(&finding));
        let deleted = self.options.delete && !missing;
        if deleted {
            self.repo.delete_object(&object)?;
        }
        if (missing || deleted) && object.kind != ObjectType::Commit {
            self.mark_partial(&finding.commits)?;
        }
        self.report.findings.push(finding);
        Ok(())
    }

    fn mark_partial(&mut self, commits: &[Checksum]) -> Result<()> {
        for commit in commits {
            if self.repo.commit_state(commit)? == CommitState::Normal {
                (self.watch)(FsckEvent::MarkedPartial(*commit));
                self.repo.set_commit_state(commit, CommitState::PartialFsck)?;
            }
        }
        Ok(())
    }
}

/// Which commits need an object. Only looked up where something is wrong, so the sets of the
/// single commits are made at the first question.
struct Owners<'a> {
    repo: &'a Repo,
    commits: &'a [Checksum],
    sets: Option<BTreeMap<Checksum, Reachable>>,
}

impl Owners<'_> {
    fn of(&mut self, object: &ObjectName) -> Result<Vec<Checksum>> {
        if object.kind == ObjectType::Commit {
            return Ok(vec![object.checksum]);
        }
        if self.sets.is_none() {
            let mut sets = BTreeMap::new();
            for commit in self.commits {
                let mut traversal = Traversal::new(self.repo).collect_bad();
                if traversal.add(commit, Depth::Parents(0)).is_ok() {
                    sets.insert(*commit, traversal.into_reachable());
                }
            }
            self.sets = Some(sets);
        }
        let sets = self.sets.iter().flatten();
        Ok(sets.filter(|(_, set)| set.contains(object)).map(|(commit, _)| *commit).collect())
    }
}

/// The commits a ref points to are spared, which libostree does not do: the ref would lead to
/// nothing.
fn add_tombstones(
    repo: &mut Repo,
    report: &mut FsckReport,
    watch: &mut dyn FnMut(FsckEvent<'_>),
) -> Result<()> {
    let referenced = ref_targets(repo)?;
    report.tombstones.retain(|commit| !referenced.contains(commit));
    if report.tombstones.is_empty() {
        return Ok(());
    }
    repo.enable_tombstones()?;
    let _lock = repo.lock(LockMode::Exclusive)?;
    for commit in &report.tombstones {
        watch(FsckEvent::AddedTombstone(*commit));
        repo.delete_object(&ObjectName::new(*commit, ObjectType::Commit))?;
    }
    Ok(())
}
