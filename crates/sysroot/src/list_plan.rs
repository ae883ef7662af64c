//! Changes to the list of deployments other than a deploy, as plans: what `--dry-run` prints is
//! what is carried out.

use std::fmt;

use serde::{Serialize, Serializer};
use trefoil_format::kargs::KernelArgs;

use crate::boot::write_deployments;
use crate::cleanup::CleanupOptions;
use crate::deploy::TreeBuilder;
use crate::error::During;
use crate::unlisted::Unlisted;
use crate::{Deployment, ListReport, Result, Sysroot, SysrootError, SysrootLock};

/// A list of deployments that shall take the place of the present one.
#[derive(Clone, Debug)]
pub struct ListPlan {
    /// The deployment it is about, as it is now.
    pub deployment: Deployment,
    /// The new list; its first boots next.
    pub list: Vec<Deployment>,
    /// What lies in the sysroot and the new list does not need.
    pub leftovers: Leftovers,
}

/// What a cleanup deletes of a sysroot. Objects of its repository are not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Trees that are deleted, or kept as the spare.
    pub trees: Vec<Unlisted>,
    /// Kernels and overlay initrds, as paths below `boot`.
    pub boot_files: Vec<String>,
}

impl Sysroot {
    /// Plans [`Sysroot::undeploy`]. Changes nothing.
    ///
    /// # Errors
    /// The booted deployment; no such index.
    pub fn plan_undeploy(&self, index: usize) -> Result<ListPlan> {
        let deployment = self.deployment(index)?.clone();
        if self.booted().is_some_and(|booted| booted.same_as(&deployment)) {
            return Err(SysrootError::Refused(format!(
                "Cannot undeploy currently booted deployment {index}"
            )));
        }
        let mut list = self.deployments().to_vec();
        list.remove(index);
        self.plan_list(deployment, list)
    }

    /// Plans [`Sysroot::set_default`]. Changes nothing.
    ///
    /// # Errors
    /// No such index.
    pub fn plan_set_default(&self, index: usize) -> Result<ListPlan> {
        let deployment = self.deployment(index)?.clone();
        let mut list = self.deployments().to_vec();
        let first = list.remove(index);
        list.insert(0, first);
        self.plan_list(deployment, list)
    }

    /// Plans [`Sysroot::rollback`]. Changes nothing.
    ///
    /// # Errors
    /// Nothing to roll back to.
    pub fn plan_rollback(&self, stateroot: Option<&str>) -> Result<ListPlan> {
        let stateroot = match (stateroot, self.deployments().first()) {
            (None, Some(first)) if self.booted().is_none() => first.stateroot.clone(),
            (stateroot, _) => self.stateroot_or_booted(stateroot)?,
        };
        let ours = |d: &&Deployment| d.stateroot == stateroot;
        let found = match self.booted().filter(|b| b.stateroot == stateroot) {
            Some(_) => self.pending_and_rollback(&stateroot).1,
            None => self.deployments().iter().filter(ours).nth(1),
        };
        let Some(index) = found.map(|d| d.index) else {
            return Err(SysrootError::Refused(format!(
                "stateroot {stateroot} has no deployment to roll back to"
            )));
        };
        self.plan_set_default(index)
    }

    /// Plans [`Sysroot::set_kargs`]. Changes nothing.
    ///
    /// # Errors
    /// The staged deployment; no such index.
    pub fn plan_set_kargs(&self, index: usize, kargs: &KernelArgs) -> Result<ListPlan> {
        let deployment = self.deployment(index)?.clone();
        if deployment.staged {
            return Err(SysrootError::Refused(
                "Cannot set kernel arguments of the staged deployment: stage it anew with them"
                    .into(),
            ));
        }
        let mut list = self.deployments().to_vec();
        list[index].entry.set("options", &kargs.to_string());
        self.plan_list(deployment, list)
    }

    /// Finds what a [`Sysroot::cleanup`] would delete besides objects. Changes nothing.
    pub fn leftovers(&self) -> Result<Leftovers> {
        self.leftovers_of(self.deployments())
    }

    fn leftovers_of(&self, list: &[Deployment]) -> Result<Leftovers> {
        let (trees, boot_files) = (self.unlisted_trees(list)?, self.unlisted_boot_files(list)?);
        Ok(Leftovers { trees, boot_files })
    }

    /// A staged deployment is the first, or it is taken back.
    fn plan_list(&self, deployment: Deployment, mut list: Vec<Deployment>) -> Result<ListPlan> {
        if !list.first().is_some_and(|first| first.staged) {
            list.retain(|deployment| !deployment.staged);
        }
        let leftovers = self.leftovers_of(&list)?;
        Ok(ListPlan { deployment, list, leftovers })
    }

    /// Carries a plan out that was made under the same lock, and cleans up after it.
    pub fn apply_list(
        &mut self,
        lock: &SysrootLock,
        plan: ListPlan,
        builder: &dyn TreeBuilder,
    ) -> Result<ListReport> {
        let swap = write_deployments(self, lock, plan.list, None)?;
        let cleanup = self
            .cleanup(lock, builder, CleanupOptions { prune: true })
            .during(|| "Performing final cleanup".into())?;
        Ok(ListReport { deployment: plan.deployment, swap, cleanup })
    }
}

/// A plan in JSON: deployments and trees as `STATEROOT/CHECKSUM.SERIAL`.
#[derive(Serialize)]
struct View<'a> {
    deployment: String,
    list: Vec<String>,
    trees: Vec<String>,
    boot_files: &'a [String],
}

impl Serialize for ListPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let label = |d: &Deployment| format!("{}/{}", d.stateroot, d.name());
        let view = View {
            deployment: label(&self.deployment),
            list: self.list.iter().map(label).collect(),
            trees: self.leftovers.trees.iter().map(ToString::to_string).collect(),
            boot_files: &self.leftovers.boot_files,
        };
        view.serialize(serializer)
    }
}

impl fmt::Display for ListPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, deployment) in self.list.iter().enumerate() {
            let Deployment { stateroot, entry, .. } = deployment;
            let first = if index == 0 { " (default)" } else { "" };
            writeln!(f, "would list: {index} {stateroot}/{}{first}", deployment.name())?;
            let changed = deployment.same_as(&self.deployment)
                && entry.get("options") != self.deployment.entry.get("options");
            if let (true, Some(options)) = (changed, entry.get("options")) {
                writeln!(f, "  with kernel arguments: {options}")?;
            }
        }
        self.leftovers.fmt(f)
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tree in &self.trees {
            writeln!(f, "would delete, or keep as the spare: {tree}")?;
        }
        self.boot_files.iter().try_for_each(|path| writeln!(f, "would delete: boot/{path}"))
    }
}
