//! The list of deployments as plain values, for printing.

use serde::Serialize;

use crate::deploy::local_changes;
use crate::etc::LocalChanges;
use crate::{Deployment, Result, Sysroot};

/// One deployment; the names of the fields are those of `ostree admin status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeploymentStatus {
    /// The commit.
    pub checksum: String,
    /// The stateroot.
    pub stateroot: String,
    /// The refspec of its origin.
    pub refspec: Option<String>,
    /// Tells deployments of one commit apart.
    pub serial: u32,
    /// Position in boot order.
    pub index: usize,
    /// The machine runs from it.
    pub booted: bool,
    /// It boots next.
    pub pending: bool,
    /// The first after the booted one.
    pub rollback: bool,
    /// Staged, and not to be finished yet.
    pub finalization_locked: bool,
    /// The target of a soft reboot.
    pub soft_reboot_target: bool,
    /// It waits to be finished at shutdown.
    pub staged: bool,
    /// It is kept whatever is deployed after it.
    pub pinned: bool,
    /// Whether its tree was made writable: `none` or how.
    pub unlocked: &'static str,
    /// The version of its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The title of what its commit was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_title: Option<String>,
    /// Whether there is an origin file at all.
    #[serde(skip)]
    pub has_origin: bool,
}

/// All deployments, the default one first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The deployments.
    pub deployments: Vec<DeploymentStatus>,
    /// Why the last finalization of a staged deployment failed; ours, libostree's has it not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalization_failure: Option<String>,
}

impl Sysroot {
    /// What the administrator changed in the `/etc` of a deployment, as
    /// `ostree admin config-diff`.
    pub fn config_diff(&self, deployment: &Deployment) -> Result<LocalChanges> {
        Ok(local_changes(self, deployment)?.1)
    }

    /// The list as it is loaded. Commits that cannot be read have no version, as in libostree.
    pub fn status(&self) -> Result<Status> {
        let marks = self.booted().map(|b| self.pending_and_rollback(&b.stateroot));
        let (pending, rollback) = marks.unwrap_or((None, None));
        let is = |d: &Deployment, other: Option<&Deployment>| other.is_some_and(|o| o.same_as(d));
        let deployments = self.deployments().iter().map(|d| {
            let commit = self.repo().load_commit(&d.checksum).ok();
            let text = |key: &str| {
                commit.as_ref().and_then(|c| c.metadata.get_str(key)).map(str::to_string)
            };
            DeploymentStatus {
                checksum: d.checksum.to_hex(),
                stateroot: d.stateroot.clone(),
                refspec: d.refspec(),
                serial: d.serial,
                index: d.index,
                booted: is(d, self.booted()),
                pending: is(d, pending),
                rollback: is(d, rollback),
                finalization_locked: d.finalization_locked,
                soft_reboot_target: false,
                staged: d.staged,
                pinned: d.is_pinned(),
                unlocked: d.unlocked.word(),
                version: text("version"),
                source_title: text("ostree.source-title"),
                has_origin: d.origin.is_some(),
            }
        });
        let deployments = deployments.collect();
        Ok(Status { deployments, finalization_failure: self.finalization_failure()? })
    }
}
