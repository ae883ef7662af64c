use serde::Serialize;
use trefoil_fsat::{Dir, LockMode};

use super::plan::{DeployPlan, Parts, label};
use super::{BuiltTree, TreeBuilder, TreeMethod, TreeStats, deploy_dir, etc, var};
use crate::boot::write_deployments;
use crate::cleanup::CleanupOptions;
use crate::error::During;
use crate::etc::{Applied, Conflict, MergeStats, Skipped};
use crate::{Account, CleanupReport, Deployment, Result, Sysroot, SysrootError, SysrootLock};

/// The state of a sysroot that a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedAgainst {
    version: crate::boot::BootVersion,
    deployments: Vec<String>,
}

impl PlannedAgainst {
    pub(super) fn of(sysroot: &Sysroot) -> PlannedAgainst {
        PlannedAgainst {
            version: sysroot.boot_version(),
            deployments: sysroot.deployments().iter().map(label).collect(),
        }
    }
}

/// What a deploy did.
#[derive(Clone, Debug, Serialize)]
pub struct DeployReport {
    /// The new deployment, `CHECKSUM.SERIAL`.
    pub name: String,
    /// Its stateroot.
    pub stateroot: String,
    /// It waits to be finished at shutdown.
    pub staged: bool,
    /// How the tree was made.
    pub method: TreeMethod,
    /// Why so.
    pub reason: String,
    /// What that took.
    pub tree: TreeStats,
    /// What the `/etc` merge took; `None` for a tree without `/usr/etc`.
    pub etc: Option<MergeStats>,
    /// Paths in `/etc` that both sides changed.
    pub conflicts: Vec<Conflict>,
    /// What in `/etc` was not carried over.
    pub skipped: Vec<Skipped>,
    /// The line libostree prints, if the list changed.
    pub message: Option<String>,
    /// Trees that fell off the list and were deleted, and those kept as a spare.
    pub deleted: Vec<String>,
    /// Trees kept as a spare.
    pub kept: Vec<String>,
    /// Objects and bytes pruned from the repository.
    pub pruned: (u64, u64),
}

impl Sysroot {
    /// Carries a plan out. Until the last sync nothing that a boot entry names has changed;
    /// after it the new deployment boots. The steps and what a crash between them leaves are
    /// in `docs/durability.md`; the next deploy or cleanup removes it.
    ///
    /// # Errors
    /// The list of deployments is no longer the one planned against; and everything that
    /// writing can meet.
    pub fn apply_deploy(
        &mut self,
        lock: &SysrootLock,
        plan: DeployPlan,
        builder: &dyn TreeBuilder,
        account: &mut Account<'_>,
    ) -> Result<DeployReport> {
        if plan.parts.against != PlannedAgainst::of(self) {
            return Err(SysrootError::Refused(
                "the list of deployments changed since the plan was made; plan again".into(),
            ));
        }
        if let Some(etc) = &plan.etc {
            etc.check()?;
        }
        let before = CleanupOptions { prune: false };
        self.cleanup(lock, builder, before).during(|| "Performing initial cleanup".into())?;
        account.end("cleanup");
        // Nobody prunes from here until refs keep the commit.
        let unpruned = self.repo().lock(LockMode::Shared)?;
        self.repo().load_commit(&plan.parts.checksum)?;
        if plan.parts.options.stage {
            return self.stage(lock, plan, builder, account);
        }

        let made = self.make_tree(&plan, builder, account);
        let made = made.inspect_err(|_| builder.abandon(self, &plan.stateroot));
        let (tree, merged) = made.during(|| "Deploying tree".to_string())?;

        let list = self.next_deployments(&plan.parts);
        let layout = plan.parts.layout.clone();
        let swap = write_deployments(self, lock, list, Some(layout))?;
        drop(unpruned);
        account.end("boot");
        if let Some(applied) = &merged {
            etc::seal(self, &plan.parts.deployment, &tree.dir.open_dir("etc")?, applied)?;
        }
        account.end("seal");
        // A sweep reads every directory of every commit. After a deploy that cost only what
        // changed it is left to `cleanup`, which people run when they have the time.
        let prune = !plan.parts.options.no_prune && tree.method == TreeMethod::Full;
        let after = CleanupOptions { prune };
        let cleaned =
            self.cleanup(lock, builder, after).during(|| "Performing final cleanup".into())?;
        account.end("retire");
        let CleanupReport { deleted, kept, pruned, .. } = cleaned;
        let (conflicts, skipped) =
            plan.etc.map(|etc| (etc.conflicts, etc.skipped)).unwrap_or_default();
        Ok(DeployReport {
            name: plan.name,
            stateroot: plan.stateroot,
            staged: false,
            method: tree.method,
            reason: plan.tree.reason,
            tree: tree.stats,
            etc: merged.map(|applied| applied.stats),
            conflicts,
            skipped,
            message: swap.message(),
            deleted,
            kept,
            pruned,
        })
    }

    /// The tree in its place with everything but boot entries.
    pub(crate) fn make_tree(
        &self,
        plan: &DeployPlan,
        builder: &dyn TreeBuilder,
        account: &mut Account<'_>,
    ) -> Result<(BuiltTree, Option<Applied>)> {
        let target = plan.target();
        let tree = builder.build(self, &target)?;
        account.end("tree");
        let parts = &plan.parts;
        // What is staged has its defaults until shutdown.
        let merge = parts.merge.filter(|_| !parts.options.stage);
        let merge = merge.map(|at| self.deployment(at)).transpose()?;
        let merged = etc::build(self, &parts.etc, merge, parts.checksum, &tree)?;
        account.end("etc");
        builder.place(self, &target, &tree)?;
        var::prepare(self, &parts.deployment, &tree.dir, parts.root)?;
        match parts.options.stage {
            true => self.write_origin_of(&parts.deployment)?,
            false => self.finish_tree(&parts.deployment, &tree.dir)?,
        }
        parts.cache.save(self.ostree())?;
        account.end("finish");
        Ok((tree, merged))
    }

    fn next_deployments(&self, parts: &Parts) -> Vec<Deployment> {
        let pick = |at: &Option<usize>| match at {
            Some(at) => self.deployments()[*at].clone(),
            None => parts.deployment.clone(),
        };
        parts.order.iter().map(pick).collect()
    }

    /// The overlay directories, the origin and the immutable bit.
    pub(crate) fn finish_tree(&self, deployment: &Deployment, tree: &Dir) -> Result<()> {
        var::drop_update_stamp(self, &deployment.stateroot)?;
        self.make_backing(deployment, tree).during(|| "Preparing deployment backing dir".into())?;
        self.write_origin_of(deployment)?;
        if !self.options().mutable_deployments {
            tree.set_immutable(true)?;
        }
        Ok(())
    }

    fn write_origin_of(&self, deployment: &Deployment) -> Result<()> {
        let Some(origin) = &deployment.origin else { return Ok(()) };
        let dir = deploy_dir(self, &deployment.stateroot)?;
        let name = format!("{}.origin", deployment.name());
        dir.write(&name, origin.to_string().as_bytes(), 0o644)
            .during(|| "Writing out origin file".into())
    }

    /// Room for overlays over the root, as libostree makes it since 2024.
    fn make_backing(&self, deployment: &Deployment, tree: &Dir) -> Result<()> {
        let mode = tree.stat_self()?.mode;
        let stateroot = self.ostree().open_dir(format!("deploy/{}", deployment.stateroot))?;
        stateroot.ensure_dir("backing", 0o700)?;
        let path = format!("backing/{}", deployment.name());
        stateroot.ensure_dir(&path, 0o700)?;
        stateroot.ensure_dir(format!("{path}/root-transient"), 0o700)?;
        stateroot.ensure_dir(format!("{path}/root-transient/work"), 0o700)?;
        stateroot.ensure_dir(format!("{path}/root-transient/upper"), mode)?;
        Ok(())
    }
}
