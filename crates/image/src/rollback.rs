use serde::Serialize;
use trefoil_sysroot::ListPreview;
use trefoil_sysroot::spare::{SpareBuilder, Trust};

use crate::attach::Access;
use crate::session::{LOCK_WAIT, Session, stateroot};
use crate::{Place, Result, Surroundings};

/// What boots next after a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RollbackReport {
    /// The stateroot.
    pub stateroot: String,
    /// The deployment, `CHECKSUM.SERIAL`.
    pub deployment: String,
    /// Bytes that were written to the disk in the image.
    pub bytes_written: u64,
}

/// Makes the rollback deployment of the image the one that boots; what booted before becomes
/// the rollback.
///
/// # Errors
/// There is none; the image is in use.
pub fn rollback(around: &Surroundings, place: &Place, os: Option<&str>) -> Result<RollbackReport> {
    let session = Session::open(around, place, Access::ReadWrite)?;
    let deployment = {
        let mut sysroot = session.sysroot()?;
        let lock = sysroot.lock(LOCK_WAIT)?;
        let stateroot = stateroot(&sysroot, os)?;
        let builder = SpareBuilder::new(Trust::Stat, true);
        sysroot.rollback(&lock, Some(&stateroot), &builder)?.deployment
    };
    Ok(RollbackReport {
        stateroot: deployment.stateroot.clone(),
        deployment: deployment.name(),
        bytes_written: session.close()?,
    })
}

/// Plans [`rollback`]. The image stays as it is, but for the journal of a machine that was cut
/// off.
///
/// # Errors
/// As [`rollback`].
pub fn plan_rollback(
    around: &Surroundings,
    place: &Place,
    os: Option<&str>,
) -> Result<ListPreview> {
    let session = Session::open(around, place, Access::ReadOnly)?;
    let plan = {
        let sysroot = session.sysroot()?;
        sysroot.preview_list(sysroot.plan_rollback(Some(&stateroot(&sysroot, os)?))?)?
    };
    session.close()?;
    Ok(plan)
}
