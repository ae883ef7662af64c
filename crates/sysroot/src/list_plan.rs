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
}

/// A plan and what a cleanup after it deletes, to be shown. What is carried out is the plan alone:
/// nothing that lies about in a sysroot may be in the way of a rollback.
#[derive(Clone, Debug)]
pub struct ListPreview {
    plan: ListPlan,
    leftovers: Leftovers,
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
        Ok(plan_list(deployment, list))
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
        Ok(plan_list(deployment, list))
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
        Ok(plan_list(deployment, list))
    }

    /// Finds what a [`Sysroot::cleanup`] would delete besides objects. Changes nothing.
    pub fn leftovers(&self) -> Result<Leftovers> {
        self.leftovers_of(self.deployments())
    }

    fn leftovers_of(&self, list: &[Deployment]) -> Result<Leftovers> {
        let (trees, boot_files) = (self.unlisted_trees(list)?, self.unlisted_boot_files(list)?);
        Ok(Leftovers { trees, boot_files })
    }

    /// Adds to a plan what it leaves to be deleted. Changes nothing.
    pub fn preview_list(&self, plan: ListPlan) -> Result<ListPreview> {
        let leftovers = self.leftovers_of(&plan.list)?;
        Ok(ListPreview { plan, leftovers })
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

/// A staged deployment is the first, or it is taken back.
fn plan_list(deployment: Deployment, mut list: Vec<Deployment>) -> ListPlan {
    if !list.first().is_some_and(|first| first.staged) {
        list.retain(|deployment| !deployment.staged);
    }
    ListPlan { deployment, list }
}

/// A plan in JSON: deployments and trees as `STATEROOT/CHECKSUM.SERIAL`.
#[derive(Serialize)]
struct View<'a> {
    deployment: String,
    list: Vec<String>,
    trees: Vec<String>,
    boot_files: &'a [String],
}

impl Serialize for ListPreview {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let label = |d: &Deployment| format!("{}/{}", d.stateroot, d.name());
        let view = View {
            deployment: label(&self.plan.deployment),
            list: self.plan.list.iter().map(label).collect(),
            trees: self.leftovers.trees.iter().map(ToString::to_string).collect(),
            boot_files: &self.leftovers.boot_files,
        };
        view.serialize(serializer)
    }
}

impl fmt::Display for ListPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListPlan { deployment: about, list } = &self.plan;
        for (index, deployment) in list.iter().enumerate() {
            let Deployment { stateroot, entry, .. } = deployment;
            let first = if index == 0 { " (default)" } else { "" };
            writeln!(f, "would list: {index} {stateroot}/{}{first}", deployment.name())?;
            let changed =
                deployment.same_as(about) && entry.get("options") != about.entry.get("options");
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
