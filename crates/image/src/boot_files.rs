use serde::Serialize;
use trefoil_fsat::Dir;

use crate::attach::Access;
use crate::session::Session;
use crate::{ImageError, Place, Result, Surroundings};

/// What a virtual machine is given to boot an image directly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootFiles {
    /// The kernel, a file that was written.
    pub kernel: String,
    /// The initramfs, if the deployment has one.
    pub initramfs: Option<String>,
    /// The kernel arguments.
    pub cmdline: String,
}

/// Copies kernel and initramfs of the deployment that boots next into the directory `to`, as
/// `vmlinuz` and `initramfs.img`, and tells its kernel arguments. Older copies are replaced.
///
/// # Errors
/// The image is in use; it has no deployment.
pub fn export_boot_files(around: &Surroundings, place: &Place, to: &Dir) -> Result<BootFiles> {
    let session = Session::open(around, place, Access::ReadOnly)?;
    let files = {
        let sysroot = session.sysroot()?;
        let deployment = sysroot.deployment(0)?;
        let boot = sysroot.boot()?;
        let entry = |key: &str| {
            let path = deployment.entry.get(key)?;
            let path = path.strip_prefix("/boot").unwrap_or(path);
            Some(path.trim_start_matches('/').to_string())
        };
        let none = || ImageError::Refused("the boot entry names no kernel".into());
        let kernel = copy(boot, &entry("linux").ok_or_else(none)?, to, "vmlinuz")?;
        let initramfs = match entry("initrd") {
            Some(path) => Some(copy(boot, &path, to, "initramfs.img")?),
            None => None,
        };
        let cmdline = deployment.entry.get("options").unwrap_or("").to_string();
        BootFiles { kernel, initramfs, cmdline }
    };
    session.close()?;
    Ok(files)
}

fn copy(boot: &Dir, from: &str, to: &Dir, name: &str) -> Result<String> {
    let source = boot.open_file(from)?;
    let draft = format!(".{name}.tmp");
    to.unlink_opt(&draft)?;
    let copy = to.create_file(&draft, 0o600)?;
    copy.copy_from(&source)?;
    // An initramfs may hold secrets; it says so by its mode.
    copy.set_mode(source.stat()?.mode & 0o644)?;
    to.rename(&draft, to, name)?;
    Ok(to.path().join(name).display().to_string())
}
