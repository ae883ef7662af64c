//! Deleting what nothing needs: a plan first, then its execution, all under one exclusive
//! repository lock.

mod deltas;
mod difference;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::LockMode;

pub use deltas::prune_deltas_to;
pub use difference::{DifferencePrune, prune_difference};

use crate::lock::RepoLock;
use crate::traverse::{Depth, Reachable, Traversal, load_commit_opt};
use crate::{CommitState, Repo, RepoError, Result};

/// What a prune keeps; the default is what `ostree prune` does without options.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Only commits that a ref leads to are kept, instead of all commits.
    pub refs_only: bool,
    /// How many parents of a kept commit are kept.
    pub depth: Depth,
    /// Keeps the parents of a ref's commit that are not older than this time, in seconds
    /// since 1970. Implies `refs_only`, as do the two below.
    pub keep_younger_than: Option<u64>,
    /// Depths of certain refs, by name (`REMOTE:REF` for those of remotes).
    pub retain_branch_depth: BTreeMap<String, Depth>,
    /// Where not empty: refs that are not named here keep all their parents.
    pub only_branches: Vec<String>,
    /// Deletes nothing but commit objects.
    pub commit_only: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        PruneOptions {
            refs_only: false,
            depth: Depth::Unlimited,
            keep_younger_than: None,
            retain_branch_depth: BTreeMap::new(),
            only_branches: Vec::new(),
            commit_only: false,
        }
    }
}

impl PruneOptions {
    fn by_branch(&self) -> bool {
        self.keep_younger_than.is_some()
            || !self.retain_branch_depth.is_empty()
            || !self.only_branches.is_empty()
    }
}

/// An object that may go, and the bytes it occupies.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// The object.
    pub name: ObjectName,
    /// Size of its file in bytes, as stored.
    pub size: u64,
}

/// What a prune found and would delete. It holds the exclusive repository lock until it is
/// applied or dropped, so what it says stays true.
#[derive(Debug)]
pub struct PrunePlan<'a> {
    repo: &'a Repo,
    doomed: Vec<Doomed>,
    objects_total: u64,
    _lock: RepoLock,
}

/// The numbers of a prune, in libostree's terms.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneStats {
    /// Objects that were looked at.
    pub objects_total: u64,
    /// Of these, objects that nothing needs.
    pub objects_pruned: u64,
    /// Bytes their files occupy.
    pub bytes_freed: u64,
}

impl PrunePlan<'_> {
    /// The objects that may go: commits first, then directories, then files.
    pub fn doomed(&self) -> &[Doomed] {
        &self.doomed
    }

    /// The numbers this plan comes to.
    pub fn stats(&self) -> PruneStats {
        PruneStats {
            objects_total: self.objects_total,
            objects_pruned: self.doomed.len() as u64,
            bytes_freed: self.doomed.iter().map(|d| d.size).sum(),
        }
    }

    /// Deletes the objects, and static deltas to commits that do not exist. Commits go first:
    /// dying at any point leaves no commit behind that was whole and now is not, except in the
    /// void between two directory writes of a machine that lost power.
    pub fn apply(self) -> Result<PruneStats> {
        delete_all(self.repo, &self.doomed)?;
        deltas::prune_orphans(self.repo)?;
        Ok(self.stats())
    }
}

fn delete_all(repo: &Repo, doomed: &[Doomed]) -> Result<()> {
    let commits = doomed.partition_point(|d| d.name.kind == ObjectType::Commit);
    let (commits, rest) = doomed.split_at(commits);
    for commit in commits {
        repo.delete_object(&commit.name)?;
        repo.set_commit_state(&commit.name.checksum, CommitState::Normal)?;
    }
    rest.par_iter().try_for_each(|d| repo.delete_object(&d.name).map(drop))
}

/// Finds the objects that may go. Takes the exclusive repository lock, which waits for every
/// writer, and keeps it in the plan.
///
/// Refs of mirrored collections always count, also where libostree forgets them (with the
/// options by branch). A commit that two histories share keeps the parents that the deeper
/// one asks for.
///
/// # Errors
/// A branch to prune that does not exist, a kept commit that is broken.
pub fn plan_prune<'a>(repo: &'a Repo, options: &PruneOptions) -> Result<PrunePlan<'a>> {
    let lock = repo.lock(LockMode::Exclusive)?;
    let mut traversal = Traversal::new(repo).commits_only(options.commit_only);
    if options.by_branch() {
        add_by_branch(repo, options, &mut traversal)?;
    } else if options.refs_only {
        for commit in ref_targets(repo)? {
            traversal.add(&commit, options.depth)?;
        }
    } else {
        for commit in repo.list_commits()? {
            traversal.add(&commit, options.depth)?;
        }
    }
    let mut objects = repo.list_objects()?;
    if options.commit_only {
        objects.retain(|name| name.kind == ObjectType::Commit);
    }
    let doomed = doomed(repo, &objects, traversal.reachable())?;
    Ok(PrunePlan { repo, doomed, objects_total: objects.len() as u64, _lock: lock })
}

/// Every commit that a ref points to, whatever kind of ref.
pub(crate) fn ref_targets(repo: &Repo) -> Result<BTreeSet<Checksum>> {
    let mut targets: BTreeSet<Checksum> = repo.list_refs(None)?.into_values().collect();
    targets.extend(repo.list_mirror_refs()?.into_values());
    Ok(targets)
}

fn doomed(repo: &Repo, objects: &[ObjectName], reachable: &Reachable) -> Result<Vec<Doomed>> {
    let unreached = objects.par_iter().filter(|name| !reachable.contains(name));
    let sized: Result<Vec<Option<Doomed>>> = unreached
        .map(|name| {
            if name.kind == ObjectType::PayloadLink && keeps_payload_link(repo, name, reachable)? {
                return Ok(None);
            }
            Ok(repo.object_size(name)?.map(|size| Doomed { name: *name, size }))
        })
        .collect();
    let mut doomed: Vec<Doomed> = sized?.into_iter().flatten().collect();
    doomed.sort_by_key(|d| (deletion_rank(d.name.kind), d.name.checksum));
    Ok(doomed)
}

fn deletion_rank(kind: ObjectType) -> u8 {
    match kind {
        ObjectType::Commit => 0,
        ObjectType::DirTree => 1,
        ObjectType::DirMeta => 2,
        _ => 3,
    }
}

/// A link from content to the file object that holds it is of use while that object is kept
/// and large enough.
fn keeps_payload_link(repo: &Repo, name: &ObjectName, reachable: &Reachable) -> Result<bool> {
    let Some(threshold) = repo.config().key_file.raw("core", "payload-link-threshold") else {
        return Ok(false);
    };
    let Ok(threshold) = threshold.parse::<u64>() else { return Ok(false) };
    let target = repo.objects().read_link(&*repo.object_path(name))?;
    // `../ab/cdef.file`
    let hex: String = String::from_utf8_lossy(&target)
        .trim_start_matches("../")
        .chars()
        .filter(|c| *c != '/')
        .take(2 * Checksum::LEN)
        .collect();
    let Ok(checksum) = Checksum::from_hex(&hex) else { return Ok(false) };
    let target = ObjectName::new(checksum, ObjectType::File);
    Ok(reachable.contains(&target)
        && repo.object_size(&target)?.is_some_and(|size| size >= threshold))
}

fn add_by_branch(repo: &Repo, options: &PruneOptions, traversal: &mut Traversal) -> Result<()> {
    for branch in &options.only_branches {
        repo.resolve_rev(branch)?;
    }
    for (refspec, commit) in repo.list_refs(None)? {
        match branch_depth(options, &refspec) {
            Some(depth) => traversal.add(&commit, depth)?,
            None => add_younger(repo, options, commit, traversal)?,
        }
    }
    for commit in repo.list_mirror_refs()?.into_values() {
        traversal.add(&commit, options.depth)?;
    }
    Ok(())
}

/// The depth for a ref, `None` where the age of its commits decides.
fn branch_depth(options: &PruneOptions, refspec: &Refspec) -> Option<Depth> {
    let name = refspec.to_string();
    if let Some(depth) = options.retain_branch_depth.get(&name) {
        return Some(*depth);
    }
    if !options.only_branches.is_empty() && !options.only_branches.contains(&name) {
        return Some(Depth::Unlimited);
    }
    options.keep_younger_than.is_none().then_some(options.depth)
}

/// The ref's own commit whatever its age, then parents while they are young enough.
fn add_younger(
    repo: &Repo,
    options: &PruneOptions,
    tip: Checksum,
    traversal: &mut Traversal,
) -> Result<()> {
    traversal.add(&tip, Depth::Parents(0))?;
    let limit = options.keep_younger_than.unwrap_or(0);
    let mut next = Some(tip);
    while let Some(checksum) = next {
        let Some(commit) = load_commit_opt(repo, &checksum)? else { break };
        if commit.timestamp < limit {
            break;
        }
        traversal.add(&checksum, Depth::Parents(0))?;
        next = commit.parent;
    }
    Ok(())
}

/// Deletes one commit object and leaves a tombstone, as `ostree prune --delete-commit` does
/// before it prunes. Turns `core.tombstone-commits` on.
///
/// # Errors
/// Where a ref points to the commit, or there is no such commit.
pub fn delete_commit(repo: &mut Repo, commit: &Checksum) -> Result<()> {
    let referenced =
        |by: String| Err(RepoError::Refused(format!("Commit '{commit}' is referenced by '{by}'")));
    if let Some((refspec, _)) = repo.list_refs(None)?.into_iter().find(|(_, c)| c == commit) {
        return referenced(refspec.to_string());
    }
    if let Some(((id, name), _)) = repo.list_mirror_refs()?.into_iter().find(|(_, c)| c == commit) {
        return referenced(format!("({id}, {name})"));
    }
    let name = ObjectName::new(*commit, ObjectType::Commit);
    if !repo.has_own_object(&name)? {
        return Err(RepoError::ObjectMissing { name });
    }
    repo.enable_tombstones()?;
    let _lock = repo.lock(LockMode::Exclusive)?;
    repo.delete_object(&name)?;
    Ok(())
}
