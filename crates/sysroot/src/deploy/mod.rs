//! Deploying a commit: a plan first, which changes nothing, then its application.

mod apply;
mod etc;
mod kargs;
mod plan;
mod preview;
mod retain;
mod tree;
mod var;

use trefoil_format::keyfile::KeyFile;

pub use crate::unlisted::Unlisted;
pub use apply::{DeployReport, PlannedAgainst};
pub use etc::load_index;
pub(crate) use etc::{
    MergeWork, find_dir, forget_index, local_changes, rename_index, seal as seal_etc,
};
pub use kargs::KargOptions;
pub use plan::{BootPlan, DeployPlan, SpaceNeed};
pub use preview::Preview;
pub use retain::Retain;
pub(crate) use retain::next_list;
pub use tree::{
    BuiltTree, FullCheckout, TreeBuilder, TreeEtc, TreeMethod, TreePlan, TreeStats, TreeTarget,
    deploy_dir,
};

/// What to deploy and how. [`DeployOptions::new`] gives the defaults of
/// `ostree admin deploy`.
#[derive(Clone, Debug)]
pub struct DeployOptions {
    /// The stateroot; `None` for the booted one.
    pub stateroot: Option<String>,
    /// A ref, `REMOTE:REF`, checksum or anything else that names a commit.
    pub rev: String,
    /// The origin file of the new deployment; `None` makes one that follows `rev`.
    pub origin: Option<KeyFile>,
    /// Changes to the kernel arguments.
    pub kargs: KargOptions,
    /// Take over neither `/etc` nor kernel arguments of another deployment.
    pub no_merge: bool,
    /// Which deployments stay besides those that always do.
    pub retain: Retain,
    /// Put it after the booted or merge deployment instead of first.
    pub not_as_default: bool,
    /// Leave objects that nothing needs any more in the repository.
    pub no_prune: bool,
    /// Never convert a spare, always check out in full.
    pub no_recycle: bool,
    /// Leave the merge of `/etc` and the boot entries to [`Sysroot::finalize_staged`]
    /// (`--stage`). Only on the running machine.
    ///
    /// [`Sysroot::finalize_staged`]: crate::Sysroot::finalize_staged
    pub stage: bool,
    /// With `stage`: not before it is unlocked.
    pub lock_finalization: bool,
    /// Count what a full checkout would make, which reads every directory of the commit: for
    /// plans that are shown.
    pub estimate: bool,
}

impl DeployOptions {
    /// The defaults for `rev`.
    pub fn new(rev: &str) -> DeployOptions {
        DeployOptions {
            stateroot: None,
            rev: rev.to_string(),
            origin: None,
            kargs: KargOptions::default(),
            no_merge: false,
            retain: Retain::default(),
            not_as_default: false,
            no_prune: false,
            no_recycle: false,
            stage: false,
            lock_finalization: false,
            estimate: false,
        }
    }
}
