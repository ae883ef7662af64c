use serde::Serialize;

use super::StagedState;
use crate::boot::{SwapReport, write_deployments};
use crate::cleanup::CleanupOptions;
use crate::deploy::{MergeWork, Retain, TreeBuilder, next_list};
use crate::error::During;
use crate::etc::{Conflict, MergeStats, Skipped};
use crate::kernel::{BootcsumCache, find_kernel};
use crate::{CleanupReport, Deployment, Result, Sysroot, SysrootError, SysrootLock};

/// What became of a staged deployment.
#[derive(Debug)]
pub enum Finalized {
    /// There is none.
    Nothing,
    /// It is locked, and stays as it is.
    Locked,
    /// It boots next.
    Done(Box<FinalizeReport>),
}

/// What a finalization did.
#[derive(Clone, Debug, Serialize)]
pub struct FinalizeReport {
    /// The deployment, `CHECKSUM.SERIAL`.
    pub name: String,
    /// Its stateroot.
    pub stateroot: String,
    /// What the merge of `/etc` took; `None` for a tree without `/usr/etc`.
    pub etc: Option<MergeStats>,
    /// Paths in `/etc` that both sides changed.
    pub conflicts: Vec<Conflict>,
    /// What in `/etc` was not carried over.
    pub skipped: Vec<Skipped>,
    /// The line libostree prints.
    pub message: Option<String>,
    /// Trees that fell off the list and were deleted.
    pub deleted: Vec<String>,
    /// Trees kept as a spare.
    pub kept: Vec<String>,
}

impl Sysroot {
    /// Finishes what is staged: merges `/etc` as it is now, writes boot entries and swaps, as
    /// `ostree admin finalize-staged` at shutdown. Prunes nothing.
    ///
    /// Until the state in `/run` is gone nothing has changed. If it fails after that, the old
    /// list boots, and the deployment has to be staged again.
    ///
    /// # Errors
    /// The merge deployment is no longer listed; both sides of `/etc` changed so that they
    /// cannot be merged; and everything that writing can meet.
    pub fn finalize_staged(
        &mut self,
        lock: &SysrootLock,
        builder: &dyn TreeBuilder,
    ) -> Result<Finalized> {
        let (Some(staged), Some(state)) = (self.staged().cloned(), self.staged_state().cloned())
        else {
            return Ok(Finalized::Nothing);
        };
        if self.is_finalization_locked()? {
            return Ok(Finalized::Locked);
        }
        let merge = self.merge_of(&state)?;
        let work = self.plan_staged(&state, &staged, merge.as_ref())?;

        self.forget_staged()?;
        self.reload()?;
        let step = || "Finalizing deployment".to_string();
        let applied = work.apply(self, &staged, merge.as_ref()).during(step)?;
        self.finish_tree(&staged, &self.dir().open_dir(staged.path())?).during(step)?;
        let swap = self.list_staged(lock, &staged, merge.as_ref())?;
        if let Some(applied) = &applied {
            work.seal(self, &staged, applied)?;
        }
        let after = CleanupOptions { prune: false };
        let CleanupReport { deleted, kept, .. } =
            self.cleanup(lock, builder, after).during(|| "Performing final cleanup".into())?;
        let (conflicts, skipped) = work.outcome();
        Ok(Finalized::Done(Box::new(FinalizeReport {
            name: staged.name(),
            stateroot: staged.stateroot,
            etc: applied.map(|applied| applied.stats),
            conflicts,
            skipped,
            message: swap.message(),
            deleted,
            kept,
        })))
    }

    fn merge_of(&self, state: &StagedState) -> Result<Option<Deployment>> {
        let Some(stub) = &state.merge else { return Ok(None) };
        match self.listed().iter().find(|d| stub.names(d)) {
            Some(merge) => Ok(Some(merge.clone())),
            None => Err(SysrootError::State(format!(
                "Failed to find merge deployment {} for staged",
                stub.name
            ))),
        }
    }

    /// All that can be found out without a change.
    fn plan_staged(
        &self,
        state: &StagedState,
        staged: &Deployment,
        merge: Option<&Deployment>,
    ) -> Result<MergeWork> {
        if state.has_overlay_initrds() {
            return Err(SysrootError::Refused(
                "the staged deployment has overlays of the initramfs, which are not supported yet"
                    .into(),
            ));
        }
        MergeWork::plan(self, staged, merge)
    }

    /// The same list that a deploy would have made, in one swap.
    fn list_staged(
        &mut self,
        lock: &SysrootLock,
        staged: &Deployment,
        merge: Option<&Deployment>,
    ) -> Result<SwapReport> {
        let new = Deployment { staged: false, finalization_locked: false, ..staged.clone() };
        let list = next_list(self, &staged.stateroot, merge, Retain::default(), true);
        let list = list.into_iter().map(|d| d.unwrap_or(&new).clone()).collect();
        let mut cache = BootcsumCache::load(self.ostree())?;
        let no_dtb = self.options().no_dtb;
        let layout = find_kernel(self.repo(), &staged.checksum, no_dtb, &mut cache)?;
        write_deployments(self, lock, list, Some(layout))
    }
}
