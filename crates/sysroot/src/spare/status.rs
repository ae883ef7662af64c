use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::Dir;
use trefoil_repo::TreeId;

use super::Trust;
use super::builder::full_checkout;
use super::check::distrust;
use super::store::Store;
use crate::error::During;
use crate::{Deployment, Result, Sysroot, SysrootError, SysrootLock};

/// What there is of a spare.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpareState {
    /// None.
    None,
    /// One, ready to be converted.
    Sealed,
    /// An interrupted run left it half converted; the next deploy or `prepare` throws it away.
    Dirty,
}

/// The spare of one stateroot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpareStatus {
    /// The stateroot.
    pub stateroot: String,
    /// What there is.
    pub state: SpareState,
    /// The commit it holds.
    pub commit: Option<String>,
    /// Directories under seal; `None` where the seal cannot be read.
    pub sealed_dirs: Option<u64>,
}

impl Sysroot {
    /// Looks at the spare of a stateroot.
    pub fn spare_status(&self, stateroot: &str) -> Result<SpareStatus> {
        let mut status = SpareStatus {
            stateroot: stateroot.to_string(),
            state: SpareState::None,
            commit: None,
            sealed_dirs: None,
        };
        let Some(store) = Store::open(self, stateroot)? else { return Ok(status) };
        if let Some(spare) = store.spares()?.first() {
            status.state = SpareState::Sealed;
            status.commit = Some(spare.commit.to_hex());
            let seal = store.spare_seal().load(&spare.commit)?;
            status.sealed_dirs = seal.ok().map(|seal| seal.len() as u64);
        } else if store.has_work()? {
            status.state = SpareState::Dirty;
        }
        Ok(status)
    }

    /// Checks the spare by a policy. Gives why it cannot be trusted, or `None`.
    ///
    /// # Errors
    /// There is no spare.
    pub fn spare_verify(&self, stateroot: &str, trust: Trust) -> Result<Option<String>> {
        let no_spare = || SysrootError::Refused(format!("stateroot {stateroot} has no spare"));
        let store = Store::open(self, stateroot)?.ok_or_else(no_spare)?;
        let spare = store.spares()?.into_iter().next().ok_or_else(no_spare)?;
        distrust(self, &store, &spare, trust)
    }

    /// Throws the spare away, and what interrupted runs left. True if there was anything.
    pub fn spare_drop(&self, _lock: &SysrootLock, stateroot: &str) -> Result<bool> {
        let Some(store) = Store::open(self, stateroot)? else { return Ok(false) };
        let mut dropped = store.discard_work()?;
        for spare in store.spares()? {
            store.drop_spare(self.repo(), &spare)?;
            dropped = true;
        }
        // A run that died on the way may have left what keeps the spare's commit.
        store.forget_commit(self.repo())?;
        Ok(dropped)
    }

    /// The commit that [`Sysroot::spare_prepare`] would make a spare of; `None` where there is one
    /// that can be used. Changes nothing.
    ///
    /// # Errors
    /// The stateroot has no deployment.
    pub fn plan_spare_prepare(&self, stateroot: &str) -> Result<Option<Checksum>> {
        let newest = self.newest(stateroot)?.checksum;
        let Some(store) = Store::open(self, stateroot)? else { return Ok(Some(newest)) };
        for spare in store.spares()? {
            if distrust(self, &store, &spare, Trust::Stat)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(newest))
    }

    /// Makes a spare in idle time, so that the next deploy has one to convert: throws away
    /// what cannot be used and, where no spare is left, checks out the newest deployment's
    /// commit once more. True if it made one.
    ///
    /// # Errors
    /// The stateroot has no deployment.
    pub fn spare_prepare(&self, _lock: &SysrootLock, stateroot: &str) -> Result<bool> {
        let newest = self.newest(stateroot)?;
        let store = Store::create(self, stateroot)?;
        store.discard_work()?;
        for spare in store.spares()? {
            if distrust(self, &store, &spare, Trust::Stat)?.is_none() {
                return Ok(false);
            }
            store.drop_spare(self.repo(), &spare)?;
        }
        let commit = self.repo().load_commit(&newest.checksum)?;
        let step = || "Preparing a spare".to_string();
        let (tree, _, seal) =
            full_checkout(self, &store, TreeId::of_commit(&commit)).during(step)?;
        store.spare_seal().write(&newest.checksum, &seal)?;
        make_durable(&tree)?;
        store.adopt_work(self.repo(), &newest.checksum, tree.stat_self()?.ino)?;
        Ok(true)
    }

    fn newest(&self, stateroot: &str) -> Result<&Deployment> {
        let newest = self.deployments().iter().find(|d| d.stateroot == stateroot);
        newest.ok_or_else(|| {
            SysrootError::Refused(format!("stateroot {stateroot} has no deployment"))
        })
    }
}

/// A spare that a power cut could empty again would be believed.
fn make_durable(tree: &Dir) -> Result<()> {
    Ok(tree.sync_fs()?)
}
