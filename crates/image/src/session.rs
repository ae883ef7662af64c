use std::path::PathBuf;
use std::time::Duration;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::Fs;
use trefoil_sysroot::{Sysroot, SysrootOptions};

use crate::attach::{Access, Attached, Prepare};
use crate::disk::Disk;
use crate::error::During;
use crate::{ImageError, Layout, Place, Result};

/// How long another process may hold the lock of the sysroot in an image that nobody else has
/// open: it can only be a leftover of ours.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What the caller knows and this crate does not look for.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The account of all work.
    pub fs: Fs,
    /// How the sysroot in the image is opened; `booted` and the like have no meaning there.
    pub sysroot: SysrootOptions,
}

/// An image, attached.
pub(crate) struct Session {
    pub disk: Disk,
    pub layout: Layout,
    attached: Attached,
    access: Access,
    around: Surroundings,
}

impl Session {
    /// Opens and attaches the image at `place`.
    pub(crate) fn open(around: &Surroundings, place: &Place, access: Access) -> Result<Session> {
        Session::open_with(around, place, access, &|_| Ok(()))
    }

    /// The same, with something to do where programs find the mounts.
    pub(crate) fn open_with(
        around: &Surroundings,
        place: &Place,
        access: Access,
        prepare: &Prepare<'_>,
    ) -> Result<Session> {
        let mut disk = Disk::open(&around.fs, place)?;
        let raw = disk.raw(&around.fs, &place.path())?;
        let at = Place::open(&around.fs, &raw)?;
        let mut file = at.dir().open_file(at.name())?;
        let layout = Layout::read(&mut file, &place.path())?;
        drop(file);
        let raw = std::path::absolute(&raw)
            .map_err(|e| trefoil_fsat::FsError::new("find the path of", &raw, e))?;
        let attached = Attached::attach(&around.fs, &raw, &layout, access, prepare)
            .during(|| format!("attaching {}", place.path().display()))?;
        Ok(Session { disk, layout, attached, access, around: around.clone() })
    }

    /// A path to the root of the disk.
    pub(crate) fn root(&self) -> PathBuf {
        self.attached.root()
    }

    /// The kind of file system of the root.
    pub(crate) fn filesystem(&self) -> &str {
        self.attached.filesystem()
    }

    /// Opens the sysroot of the image. Whoever ran it may have laid links that lead out of it.
    pub(crate) fn sysroot(&self) -> Result<Sysroot> {
        let options = SysrootOptions { confined: true, ..self.around.sysroot.clone() };
        let opened = Sysroot::open(&self.around.fs, self.root(), options);
        opened.during(|| "opening the sysroot in the image".into())
    }

    /// Unmounts and detaches; gives the bytes that were written to the disk.
    pub(crate) fn close(self) -> Result<u64> {
        let written = self.attached.detach(self.access)?;
        self.disk.close()?;
        Ok(written)
    }
}

/// The stateroot meant where none is named: that of the deployment that boots next.
pub(crate) fn stateroot(sysroot: &Sysroot, asked: Option<&str>) -> Result<String> {
    match (asked, sysroot.deployments().first()) {
        (Some(name), _) => Ok(name.to_string()),
        (None, Some(first)) => Ok(first.stateroot.clone()),
        (None, None) => Err(ImageError::Refused("the image has no deployment".into())),
    }
}

/// Makes the spare of the next update ahead of it, in time that nobody waits for. False where
/// there is one already.
pub fn prepare_spare(
    around: &Surroundings,
    place: &Place,
    os: Option<&str>,
) -> Result<(bool, u64)> {
    let session = Session::open(around, place, Access::ReadWrite)?;
    let made = {
        let mut sysroot = session.sysroot()?;
        let lock = sysroot.lock(LOCK_WAIT)?;
        let stateroot = stateroot(&sysroot, os)?;
        sysroot.spare_prepare(&lock, &stateroot)?
    };
    Ok((made, session.close()?))
}

/// The commit that [`prepare_spare`] would make a spare of; `None` where there is one already. The
/// image stays as it is, but for the journal of a machine that was cut off.
pub fn plan_spare(
    around: &Surroundings,
    place: &Place,
    os: Option<&str>,
) -> Result<Option<Checksum>> {
    let session = Session::open(around, place, Access::ReadOnly)?;
    let plan = {
        let sysroot = session.sysroot()?;
        sysroot.plan_spare_prepare(&stateroot(&sysroot, os)?)?
    };
    session.close()?;
    Ok(plan)
}
