use super::{STATE, StagedState, Stub};
use crate::boot::install_kernel;
use crate::cleanup::CleanupOptions;
use crate::deploy::{DeployPlan, DeployReport, TreeBuilder, seal_etc};
use crate::error::During;
use crate::{Account, CleanupReport, Result, Sysroot, SysrootLock};

impl Sysroot {
    /// Makes the planned deployment but for what has to wait for shutdown: the merge of `/etc`
    /// and the boot entries. The kernel is in `/boot` and everything durable before the state
    /// names it; a deployment that was staged before goes.
    pub(crate) fn stage(
        &mut self,
        lock: &SysrootLock,
        plan: DeployPlan,
        builder: &dyn TreeBuilder,
        account: &mut Account<'_>,
    ) -> Result<DeployReport> {
        let (tree, defaults) = self.make_tree(&plan, builder, account)?;
        let parts = &plan.parts;
        let deployment = &parts.deployment;
        install_kernel(self, deployment, &parts.layout).during(|| "Installing kernel".into())?;
        self.sync_all()?;
        account.end("boot");
        if let Some(applied) = &defaults {
            seal_etc(self, deployment, &tree.dir.open_dir("etc")?, applied)?;
        }
        account.end("seal");

        let merge = parts.merge.map(|at| self.deployment(at)).transpose()?;
        let kargs = parts.options.kargs.is_change().then(|| deployment.kargs().to_strings());
        let mut state = StagedState::new(Stub::of(deployment), merge.map(Stub::of), kargs);
        state.locked = parts.options.lock_finalization;
        if let Some(merge) = merge {
            let extra = merge.entry.extra_fields();
            state.extra = extra.map(|(key, value)| (key.into(), value.into())).collect();
        }
        self.ensure_run()?.write(STATE, &state.to_bytes(), 0o644)?;
        self.write_legacy_lock(state.locked)?;
        self.touch()?;
        self.reload()?;
        let after = CleanupOptions { prune: false };
        let CleanupReport { deleted, kept, pruned, .. } =
            self.cleanup(lock, builder, after).during(|| "Performing final cleanup".into())?;
        account.end("retire");
        let (conflicts, skipped) =
            plan.etc.map(|etc| (etc.conflicts, etc.skipped)).unwrap_or_default();
        Ok(DeployReport {
            name: plan.name,
            stateroot: plan.stateroot,
            staged: true,
            method: tree.method,
            reason: plan.tree.reason,
            tree: tree.stats,
            etc: defaults.map(|applied| applied.stats),
            conflicts,
            skipped,
            message: None,
            deleted,
            kept,
            pruned,
        })
    }
}
