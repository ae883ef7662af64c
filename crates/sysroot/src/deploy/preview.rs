use trefoil_repo::Repo;

use super::plan::Purpose;
use super::{DeployOptions, DeployPlan, TreeBuilder};
use crate::{Result, Sysroot};

/// A sysroot as a pull from another repository would leave it: deploys can be planned in it
/// before anything was pulled. It has no lock to be had and no way to apply a plan.
#[derive(Debug)]
pub struct Preview {
    sysroot: Sysroot,
    incoming: u64,
}

impl Sysroot {
    /// Looks ahead to a pull from `source` that takes `incoming` bytes on disk. What the
    /// repository lacks is looked for in `source` from here on. The sysroot may be mounted
    /// read-only.
    ///
    /// # Errors
    /// `source` cannot be opened once more.
    pub fn preview(mut self, source: &Repo, incoming: u64) -> Result<Preview> {
        let source = Repo::open(source.dir().try_clone()?)?;
        self.look_also_in(source);
        Ok(Preview { sysroot: self, incoming })
    }
}

impl Preview {
    /// As [`Sysroot::plan_deploy`] after the pull. What is pulled counts as needed space.
    ///
    /// # Errors
    /// Those of [`Sysroot::plan_deploy`]; the commit is partial in the source.
    pub fn plan_deploy(
        &self,
        options: &DeployOptions,
        builder: &dyn TreeBuilder,
    ) -> Result<DeployPlan> {
        self.sysroot.plan_for(Purpose::Preview(self.incoming), options, builder)
    }
}
