use trefoil_fsat::Dir;

use super::version::read_minor;
use crate::error::During;
use crate::{Deployment, Result};

/// Writes the boot links of `deployments` into the minor version of `major` that is not in
/// use, and gives its number. What was there is replaced. Nothing leads there yet.
pub(super) fn write(ostree: &Dir, major: u8, deployments: &[Deployment]) -> Result<u8> {
    let step = || "Creating new current bootlinks".to_string();
    let minor = 1 - read_minor(ostree, major)?;
    let name = format!("boot.{major}.{minor}");
    ostree.remove_all(&name).during(step)?;
    ostree.mkdir(&name, 0o755).during(step)?;
    let farm = ostree.open_dir(&name).during(step)?;
    for deployment in deployments {
        let parent = format!("{}/{}", deployment.stateroot, deployment.bootcsum);
        farm.ensure_dirs(&parent, 0o755).during(step)?;
        let target =
            format!("../../../deploy/{}/deploy/{}", deployment.stateroot, deployment.name());
        farm.symlink(target, format!("{parent}/{}", deployment.bootserial)).during(step)?;
    }
    Ok(minor)
}

/// Makes `ostree/boot.MAJOR` lead to `boot.MAJOR.MINOR` in one rename. Not durable.
pub(super) fn activate(ostree: &Dir, major: u8, minor: u8) -> Result<()> {
    let step = || "Swapping new version bootlinks".to_string();
    let name = format!("boot.{major}");
    let temp = format!("{name}.tmp");
    ostree.unlink_opt(&temp).during(step)?;
    ostree.symlink(format!("{name}.{minor}"), &temp).during(step)?;
    ostree.rename(&temp, ostree, &name).during(step)
}

/// Counts deployments of one bootcsum, in boot order.
pub(super) fn assign_bootserials(deployments: &mut [Deployment]) {
    for at in 0..deployments.len() {
        let (before, rest) = deployments.split_at_mut(at);
        let this = &mut rest[0];
        let same = before.iter().filter(|d| d.bootcsum == this.bootcsum).count();
        this.bootserial = u32::try_from(same).unwrap_or(u32::MAX);
        this.index = at;
    }
}
