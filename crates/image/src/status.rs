use serde::Serialize;
use trefoil_sysroot::spare::SpareStatus;
use trefoil_sysroot::status::DeploymentStatus;

use crate::attach::Access;
use crate::session::Session;
use crate::{Format, Layout, Place, Result, Surroundings, snapshot};

/// What an image holds.
#[derive(Clone, Debug, Serialize)]
pub struct ImageStatus {
    /// Its path.
    pub path: String,
    /// The format of the file.
    pub format: Format,
    /// Bytes the file takes on this machine, holes not counted.
    pub allocated: u64,
    /// The kind of file system of the root.
    pub filesystem: String,
    /// Bytes that are free in it for anybody.
    pub free: u64,
    /// The partitions.
    pub layout: Layout,
    /// The deployments, the one that boots next first.
    pub deployments: Vec<DeploymentStatus>,
    /// The spare of the first one's stateroot.
    pub spare: Option<SpareStatus>,
    /// The snapshot beside the image.
    pub snapshot: Option<String>,
}

/// Looks into the image. It is attached read-only; where a machine was cut off, its journal is
/// replayed first, as the next boot would.
///
/// # Errors
/// The image is in use; there is no sysroot in it.
pub fn status(around: &Surroundings, place: &Place) -> Result<ImageStatus> {
    let session = Session::open(around, place, Access::ReadOnly)?;
    let status = {
        let sysroot = session.sysroot()?;
        let first = sysroot.deployments().first();
        ImageStatus {
            path: place.path().display().to_string(),
            format: session.disk.format(),
            allocated: session.disk.file().allocated()?,
            filesystem: session.filesystem().to_string(),
            free: sysroot.ostree().space()?.available_bytes(),
            layout: session.layout.clone(),
            spare: first.map(|d| sysroot.spare_status(&d.stateroot)).transpose()?,
            deployments: sysroot.status()?.deployments,
            snapshot: snapshot::find(place)?,
        }
    };
    session.close()?;
    Ok(status)
}
