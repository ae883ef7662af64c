//! Changes to the list of deployments other than a deploy.

use trefoil_format::kargs::KernelArgs;
use trefoil_format::keyfile::KeyFile;

use crate::boot::{SwapReport, entry_name, write_deployments};
use crate::cleanup::CleanupOptions;
use crate::deploy::{DeployPlan, TreeBuilder, deploy_dir};
use crate::error::During;
use crate::{CleanupReport, Deployment, Result, Sysroot, SysrootError, SysrootLock, origin};

/// What a change to the list did.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The deployment it was about, as it was before.
    pub deployment: Deployment,
    /// How the new list became active.
    pub swap: SwapReport,
    /// What was cleaned up after it.
    pub cleanup: CleanupReport,
}

impl Sysroot {
    /// Takes the deployment at `index` off the list and deletes what only it needed, as
    /// `ostree admin undeploy`.
    ///
    /// # Errors
    /// The booted deployment; no such index.
    pub fn undeploy(
        &mut self,
        lock: &SysrootLock,
        index: usize,
        builder: &dyn TreeBuilder,
    ) -> Result<ListReport> {
        let plan = self.plan_undeploy(index)?;
        self.apply_list(lock, plan, builder)
    }

    /// Puts the deployment at `index` first, as `ostree admin set-default`.
    pub fn set_default(
        &mut self,
        lock: &SysrootLock,
        index: usize,
        builder: &dyn TreeBuilder,
    ) -> Result<ListReport> {
        let plan = self.plan_set_default(index)?;
        self.apply_list(lock, plan, builder)
    }

    /// Puts the rollback deployment of `stateroot` (`None`: the booted one) first: the one
    /// after the booted deployment, or the second where nothing is booted.
    pub fn rollback(
        &mut self,
        lock: &SysrootLock,
        stateroot: Option<&str>,
        builder: &dyn TreeBuilder,
    ) -> Result<ListReport> {
        let plan = self.plan_rollback(stateroot)?;
        self.apply_list(lock, plan, builder)
    }

    /// Takes off the list, durably and before the deploy, what `plan` is going to retire, so
    /// that `builder` can recycle the rollback deployment itself: the two-buffer mode for small
    /// disks. Until the deploy is done there is less to go back to, but always something to
    /// boot. Gives the names of those that left; where there are some, plan again.
    ///
    /// # Errors
    /// A plan that cannot be carried out, before anything is changed.
    pub fn retire_ahead(
        &mut self,
        lock: &SysrootLock,
        plan: &DeployPlan,
        builder: &dyn TreeBuilder,
    ) -> Result<Vec<String>> {
        if let Some(etc) = &plan.etc {
            etc.check()?;
        }
        let label = |d: &Deployment| format!("{}/{}", d.stateroot, d.name());
        let (mut gone, mut list): (Vec<Deployment>, Vec<Deployment>) =
            self.deployments().iter().cloned().partition(|d| plan.retired.contains(&label(d)));
        if list.is_empty() && !gone.is_empty() {
            list.push(gone.remove(0));
        }
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        write_deployments(self, lock, list, None)?;
        self.cleanup(lock, builder, CleanupOptions { prune: false })?;
        Ok(gone.iter().map(label).collect())
    }

    /// Keeps the deployment at `index` whatever is deployed after it, or no longer. False
    /// where it was so already.
    pub fn set_pinned(&mut self, lock: &SysrootLock, index: usize, on: bool) -> Result<bool> {
        if !self.would_set_pinned(index, on)? {
            return Ok(false);
        }
        let mut origin = self.deployment(index)?.origin.clone().unwrap_or_default();
        origin::set_pinned(&mut origin, on);
        self.write_origin(lock, index, &origin)?;
        Ok(true)
    }

    /// Whether [`Sysroot::set_pinned`] would change anything.
    ///
    /// # Errors
    /// The staged deployment; no such index.
    pub fn would_set_pinned(&self, index: usize, on: bool) -> Result<bool> {
        let deployment = self.deployment(index)?;
        if deployment.is_pinned() == on {
            return Ok(false);
        }
        match deployment.staged {
            true => Err(SysrootError::Refused("Cannot pin staged deployment".into())),
            false => Ok(true),
        }
    }

    /// Replaces the origin file of the deployment at `index`, durably.
    pub fn write_origin(
        &mut self,
        _lock: &SysrootLock,
        index: usize,
        origin: &KeyFile,
    ) -> Result<()> {
        let deployment = self.deployment(index)?;
        let dir = deploy_dir(self, &deployment.stateroot)?;
        let name = format!("{}.origin", deployment.name());
        dir.write_durable(&name, origin.to_string().as_bytes(), 0o644)
            .during(|| "Writing out origin file".into())?;
        self.touch()?;
        self.reload()
    }

    /// Replaces the kernel arguments of the deployment at `index` by a new set of entries, as
    /// `ostree admin instutil set-kargs`. `ostree=` is added where it is missing.
    pub fn set_kargs(
        &mut self,
        lock: &SysrootLock,
        index: usize,
        kargs: &KernelArgs,
        builder: &dyn TreeBuilder,
    ) -> Result<ListReport> {
        let plan = self.plan_set_kargs(index, kargs)?;
        self.apply_list(lock, plan, builder)
    }

    /// Replaces the kernel arguments in the active entry of the deployment at `index`, as
    /// `ostree admin kargs edit-in-place`. One durable rename; `kargs` must keep `ostree=`.
    pub fn set_kargs_in_place(
        &mut self,
        _lock: &SysrootLock,
        index: usize,
        kargs: &KernelArgs,
    ) -> Result<()> {
        let deployment = self.deployment(index)?;
        let old = deployment.kargs();
        if kargs.get_last_value("ostree") != old.get_last_value("ostree") {
            return Err(SysrootError::Refused(
                "the argument ostree= says what is booted and cannot be edited".into(),
            ));
        }
        let mut entry = deployment.entry.clone();
        entry.set("options", &kargs.to_string());
        if deployment.staged {
            return self.set_staged_kargs(kargs);
        }
        let path = format!("loader.{}/entries", self.boot_version().major);
        let name = match &deployment.entry_name {
            Some(name) => name.clone(),
            None => {
                // The name counts entries only.
                let at = deployment.index - usize::from(self.staged().is_some());
                let deployment = Deployment { index: at, ..deployment.clone() };
                entry_name(self, self.listed().len(), &deployment)
            }
        };
        let dir = self.boot()?.open_dir(path)?;
        dir.write_durable(&name.to_string(), entry.to_string().as_bytes(), 0o644)?;
        self.reload()
    }
}
