//! Boot loaders whose own program has to run after the entries changed: zipl and aboot.
//!
//! As in libostree a stamp in `/boot` says that it still has to, so that a run that died
//! before it is made up for by the next one.

use std::process::Command;

use trefoil_fsat::Dir;

use super::{Bootloader, read_entries};
use crate::error::During;
use crate::{Result, Sysroot, SysrootError};

const STAMP: &str = "ostree-bootloader-update.stamp";
const LIMIT: u64 = 1 << 16;

/// Leaves the stamp. Not durable by itself.
pub(super) fn write(boot: &Dir) -> Result<()> {
    Ok(boot.write(STAMP, b"", 0o644)?)
}

/// Fails for a machine that we cannot write a boot image for.
pub(super) fn require(sysroot: &Sysroot, bootloader: Bootloader) -> Result<()> {
    let refused = |what: &str| {
        Err(SysrootError::Refused(format!(
            "boot loader {}: {what}; nothing was changed",
            bootloader.word()
        )))
    };
    if bootloader == Bootloader::Zipl {
        if flag(sysroot, "/sys/firmware/uv", "prot_virt_guest")? == Some(true) {
            return refused("images for IBM Secure Execution are not supported yet");
        }
        if sysroot.booted().is_none() {
            return refused("running zipl for a system that is not running is not supported yet");
        }
    }
    Ok(())
}

/// Runs what the stamp asks for, and takes it away.
pub(super) fn run(sysroot: &Sysroot, bootloader: Bootloader, major: u8) -> Result<()> {
    if !matches!(bootloader, Bootloader::Zipl | Bootloader::Aboot) {
        return Ok(());
    }
    let boot = sysroot.boot()?;
    if !boot.exists(STAMP)? {
        return Ok(());
    }
    let mut command = match bootloader {
        // An ordinary user plays with a sysroot; there is no disk to write to.
        Bootloader::Zipl if sysroot.fs().effective_user() != 0 => return Ok(()),
        Bootloader::Zipl => {
            let secure = flag(sysroot, "/sys/firmware/ipl", "secure")? == Some(true);
            let mut command = Command::new("zipl");
            command.args(["--secure", if secure { "1" } else { "auto" }, "-V"]);
            command
        }
        _ => aboot(sysroot, major)?,
    };
    sysroot.options().programs.run(&mut command)?;
    boot.unlink(STAMP).during(|| format!("Removing boot/{STAMP}"))
}

fn aboot(sysroot: &Sysroot, major: u8) -> Result<Command> {
    let entries = read_entries(sysroot.boot()?, major)?;
    let entry =
        entries.first().ok_or_else(|| SysrootError::State("aboot: no bls config".into()))?;
    let field = |key: &str| {
        let missing =
            || SysrootError::State(format!("aboot: no \"{key}\" key in bootloader config"));
        entry.entry.get(key).ok_or_else(missing)
    };
    field("version")?;
    field("linux")?;
    field("initrd")?;
    let mut command = Command::new("aboot-deploy");
    command.args(["-r", ".", "-c", field("abootcfg")?, "-o", field("options")?, field("aboot")?]);
    command.current_dir(sysroot.dir().path());
    Ok(command)
}

/// A flag of the firmware; `None` where it has no such thing.
fn flag(sysroot: &Sysroot, dir: &str, name: &str) -> Result<Option<bool>> {
    let dir = match sysroot.fs().open_dir(dir) {
        Ok(dir) => dir,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let bytes = dir.read_opt(name, LIMIT)?;
    Ok(bytes.map(|bytes| bytes.contains(&b'1')))
}
