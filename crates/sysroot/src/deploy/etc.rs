use std::fmt;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::Dir;
use trefoil_repo::{RepoError, TreeEntry, TreeId};

use super::{BuiltTree, TreeEtc, TreeMethod, TreeStats};
use crate::error::During;
use crate::etc::{
    Action, Applied, Conflict, EtcIndex, IndexState, LocalChanges, MergePlan, PlanOptions,
    RecycleSources, Scan, Sides, Skipped, Sources, apply_fresh, apply_recycled, diff,
    file_system_now, plan as plan_merge,
};
use crate::{Deployment, Result, Sysroot, SysrootError, Unlocked};

/// Where indexes of `etc` lie below `ostree`.
const INDEX_DIR: &str = "trefoil/etc";

/// The planned `/etc` of a new deployment.
#[derive(Clone)]
pub(super) struct EtcPlan {
    /// `None` for a tree without `/usr/etc`.
    pub(super) merge: Option<MergePlan>,
    /// The new defaults.
    pub(super) defaults: Option<TreeId>,
}

impl fmt::Debug for EtcPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcPlan").field("defaults", &self.defaults).finish_non_exhaustive()
    }
}

impl EtcPlan {
    /// Bytes of local files that are copied.
    pub(super) fn local_bytes(&self) -> u64 {
        let size = |action: &Action| match action {
            Action::CopyLocal { size, .. } => *size,
            _ => 0,
        };
        self.merge.iter().flat_map(|merge| &merge.actions).map(size).sum()
    }
}

/// Name of the index of the `etc` of a tree `CHECKSUM.SERIAL`.
fn index_name(stateroot: &str, tree: &str) -> String {
    format!("{stateroot}-{tree}")
}

/// Works out the new `/etc` of the tree `root`.
pub(super) fn plan_etc(
    sysroot: &Sysroot,
    merge: Option<&Deployment>,
    root: &TreeId,
) -> Result<EtcPlan> {
    let defaults = find_dir(sysroot, *root, "usr/etc")?;
    let etc = find_dir(sysroot, *root, "etc")?;
    if let Some(etc) = etc {
        let tree = sysroot.repo().load_dirtree(&etc.tree)?;
        let empty = tree.files.is_empty() && tree.dirs.is_empty();
        match defaults {
            Some(_) if !empty => {
                return Err(SysrootError::Refused("Tree contains both /etc and /usr/etc".into()));
            }
            None if !empty => {
                return Err(SysrootError::Refused(
                    "the tree has /etc but no /usr/etc: commit it with /usr/etc in its place"
                        .into(),
                ));
            }
            _ => {}
        }
    }
    let Some(new) = defaults else { return Ok(EtcPlan { merge: None, defaults }) };
    let options = PlanOptions { xattrs: !sysroot.options().no_xattrs };
    let Some(merge) = merge else {
        let sides = Sides::Trees { repo: sysroot.repo(), old: new, new };
        let merge = Some(plan_merge(sides, None, options)?);
        return Ok(EtcPlan { merge, defaults });
    };
    let merge = plan_local(sysroot, merge, new, options)?;
    Ok(EtcPlan { merge: Some(merge), defaults })
}

/// The `etc` of a deployment, and what the administrator changed in it.
pub(crate) fn local_changes(sysroot: &Sysroot, merge: &Deployment) -> Result<(Dir, LocalChanges)> {
    let dir = sysroot.dir().open_dir(merge.path())?;
    let local = dir.open_dir("etc").during(|| "Opening /etc of the merge deployment".into())?;
    let old_dir =
        dir.open_dir("usr/etc").during(|| "Opening /usr/etc of the merge deployment".into())?;
    // An index speaks of the commit's defaults: of no use where those may have been written.
    let index = match merge.unlocked {
        Unlocked::None => load_index(sysroot, &merge.stateroot, &merge.name(), &merge.checksum)?,
        _ => None,
    };
    let changes = diff(&old_dir, &local, index.as_ref())?;
    Ok((local, changes))
}

fn plan_local(
    sysroot: &Sysroot,
    merge: &Deployment,
    new: TreeId,
    options: PlanOptions,
) -> Result<MergePlan> {
    let (local, changes) = local_changes(sysroot, merge)?;
    let commit = sysroot.repo().load_commit(&merge.checksum)?;
    let old = find_dir(sysroot, TreeId::of_commit(&commit), "usr/etc")?.unwrap_or(new);
    let sides = Sides::Trees { repo: sysroot.repo(), old, new };
    Ok(plan_merge(sides, Some((&local, &changes)), options)?)
}

/// The index of the `etc` of a tree `CHECKSUM.SERIAL`, where there is one to be believed.
pub fn load_index(
    sysroot: &Sysroot,
    stateroot: &str,
    tree: &str,
    commit: &Checksum,
) -> Result<Option<EtcIndex>> {
    let Some(state) = sysroot.ostree().open_dir_opt(INDEX_DIR)? else { return Ok(None) };
    match EtcIndex::load(&state, &index_name(stateroot, tree), commit)? {
        IndexState::Good(index) => Ok(Some(index)),
        IndexState::Missing | IndexState::Ignored(_) => Ok(None),
    }
}

/// Deletes the index of a tree that is gone.
pub(crate) fn forget_index(sysroot: &Sysroot, stateroot: &str, tree: &str) -> Result<()> {
    let Some(state) = sysroot.ostree().open_dir_opt(INDEX_DIR)? else { return Ok(()) };
    let name = index_name(stateroot, tree);
    state.unlink_opt(&name)?;
    state.unlink_unfinished(&name)?;
    Ok(())
}

/// Gives the index of a tree that gets another name that name. A missing one is fine.
pub(crate) fn rename_index(sysroot: &Sysroot, stateroot: &str, from: &str, to: &str) -> Result<()> {
    let Some(state) = sysroot.ostree().open_dir_opt(INDEX_DIR)? else { return Ok(()) };
    state.unlink_unfinished(&index_name(stateroot, from))?;
    match state.rename(index_name(stateroot, from), &state, index_name(stateroot, to)) {
        Err(e) if !e.is_not_found() => Err(e.into()),
        _ => Ok(()),
    }
}

/// Makes the planned `etc` in `tree`. `None` for a tree without `/usr/etc`.
pub(super) fn build(
    sysroot: &Sysroot,
    plan: &EtcPlan,
    merge: Option<&Deployment>,
    commit: Checksum,
    tree: &BuiltTree,
) -> Result<Option<Applied>> {
    let step = || "Preparing /etc".to_string();
    let (Some(actions), Some(defaults)) = (&plan.merge, plan.defaults) else {
        return Ok(None);
    };
    let local = match merge {
        None => None,
        Some(merge) => Some(sysroot.dir().open_dir(format!("{}/etc", merge.path()))?),
    };
    let new_defaults = tree.dir.open_dir("usr/etc").during(step)?;
    let objects = (sysroot.repo(), defaults);
    let sources = Sources {
        new_defaults: &new_defaults,
        local: local.as_ref(),
        objects: Some(objects),
        commit,
    };
    let applied = match &tree.etc {
        TreeEtc::AsCommitted => {
            // The commit may have an empty directory there.
            if tree.dir.exists("etc")? {
                tree.dir.rmdir("etc").during(step)?;
            }
            apply_fresh(actions, sources, &tree.dir)
        }
        TreeEtc::Recycled { index, scan, defaults } => {
            let etc = tree.dir.open_dir("etc")?;
            let old = RecycleSources { etc: &etc, index, scan: scan.as_ref(), defaults: *defaults };
            apply_recycled(actions, sources, objects, old)
        }
    };
    applied.map(Some).during(step)
}

/// Keeps an index of the new `etc` for the next merge. Called after the last sync, when as
/// few entries as possible are too fresh to be believed. Not durable.
pub(crate) fn seal(
    sysroot: &Sysroot,
    deployment: &Deployment,
    etc: &Dir,
    applied: &Applied,
) -> Result<()> {
    sysroot.ostree().ensure_dirs(INDEX_DIR, 0o700)?;
    let state = sysroot.ostree().open_dir(INDEX_DIR)?;
    let now = file_system_now(&state)?;
    if let Some(index) = applied.seal(etc, now)? {
        index.store(&state, &index_name(&deployment.stateroot, &deployment.name()))?;
    }
    Ok(())
}

/// The merge of `/etc` into a tree that was made earlier, with its defaults: the work of
/// finalization.
#[derive(Debug)]
pub(crate) struct MergeWork {
    plan: EtcPlan,
}

impl MergeWork {
    /// Works it out. Changes nothing.
    ///
    /// # Errors
    /// The two sides cannot be merged.
    pub(crate) fn plan(
        sysroot: &Sysroot,
        deployment: &Deployment,
        merge: Option<&Deployment>,
    ) -> Result<MergeWork> {
        let commit = sysroot.repo().load_commit(&deployment.checksum)?;
        let root = TreeId::of_commit(&commit);
        let plan =
            plan_etc(sysroot, merge, &root).during(|| "Planning the merge of /etc".into())?;
        if let Some(actions) = &plan.merge {
            actions.check()?;
        }
        Ok(MergeWork { plan })
    }

    /// Merges. What was sealed with an index is brought to the wanted state, anything else is
    /// made anew.
    pub(crate) fn apply(
        &self,
        sysroot: &Sysroot,
        deployment: &Deployment,
        merge: Option<&Deployment>,
    ) -> Result<Option<Applied>> {
        let dir = sysroot.dir().open_dir(deployment.path())?;
        let index =
            load_index(sysroot, &deployment.stateroot, &deployment.name(), &deployment.checksum)?;
        let mut etc = TreeEtc::AsCommitted;
        if let (Some(index), Some(defaults), Some(found)) =
            (index, self.plan.defaults, dir.open_dir_opt("etc")?)
            && let Some(scan) = Scan::of(&index, &found)?
        {
            etc = TreeEtc::Recycled { index: Box::new(index), scan: Some(scan), defaults };
        } else if self.plan.defaults.is_some() {
            dir.remove_all("etc")?;
        }
        let (method, stats) = (TreeMethod::Full, TreeStats::default());
        let tree = BuiltTree { dir, etc, method, stats };
        build(sysroot, &self.plan, merge, deployment.checksum, &tree)
    }

    /// As [`seal`].
    pub(crate) fn seal(
        &self,
        sysroot: &Sysroot,
        deployment: &Deployment,
        applied: &Applied,
    ) -> Result<()> {
        let etc = sysroot.dir().open_dir(format!("{}/etc", deployment.path()))?;
        seal(sysroot, deployment, &etc, applied)
    }

    /// Every path where it had to choose, and what it left out.
    pub(crate) fn outcome(self) -> (Vec<Conflict>, Vec<Skipped>) {
        self.plan.merge.map(|plan| (plan.conflicts, plan.skipped)).unwrap_or_default()
    }
}

pub(crate) fn find_dir(sysroot: &Sysroot, root: TreeId, path: &str) -> Result<Option<TreeId>> {
    match sysroot.repo().lookup(root, path) {
        Ok(TreeEntry::Dir(found)) => Ok(Some(found)),
        Ok(TreeEntry::File(_)) | Err(RepoError::PathNotFound { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
