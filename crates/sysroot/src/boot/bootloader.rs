use trefoil_fsat::Dir;

use super::{BootSettings, grub2, stamped};
use crate::{Result, Sysroot};

/// Largest file of bootupd we read.
const LIMIT: u64 = 1 << 20;

/// A boot loader that needs files of its own besides the entries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bootloader {
    /// GRUB 2 with a generated `grub.cfg`.
    Grub2,
    /// SYSLINUX.
    Syslinux,
    /// U-Boot.
    Uboot,
    /// The boot loader of IBM Z.
    Zipl,
    /// Android boot images.
    Aboot,
}

impl Bootloader {
    /// The word for it in the config.
    pub const fn word(self) -> &'static str {
        match self {
            Bootloader::Grub2 => "grub2",
            Bootloader::Syslinux => "syslinux",
            Bootloader::Uboot => "uboot",
            Bootloader::Zipl => "zipl",
            Bootloader::Aboot => "aboot",
        }
    }

    /// The boot loader this sysroot is set to, or the one found on it where the setting is
    /// `auto`; `None` where the entries are all there is to write.
    pub fn query(settings: &BootSettings, boot: &Dir) -> Result<Option<Bootloader>> {
        match settings.bootloader.as_str() {
            "none" => Ok(None),
            "grub2" => Ok(Some(Bootloader::Grub2)),
            "syslinux" => Ok(Some(Bootloader::Syslinux)),
            "uboot" => Ok(Some(Bootloader::Uboot)),
            "zipl" => Ok(Some(Bootloader::Zipl)),
            "aboot" => Ok(Some(Bootloader::Aboot)),
            _ => Bootloader::probe(boot),
        }
    }

    fn probe(boot: &Dir) -> Result<Option<Bootloader>> {
        if boot.exists("syslinux/syslinux.cfg")? {
            return Ok(Some(Bootloader::Syslinux));
        }
        if has_grub2(boot)? {
            return Ok(Some(Bootloader::Grub2));
        }
        if boot.exists("loader/uEnv.txt")? {
            return Ok(Some(Bootloader::Uboot));
        }
        Ok(None)
    }

    /// Fails where the configuration of the boot loader cannot be written: it would go on
    /// booting the old list.
    pub(crate) fn require_supported(self, sysroot: &Sysroot) -> Result<()> {
        match self {
            Bootloader::Syslinux | Bootloader::Uboot => Ok(()),
            Bootloader::Grub2 => grub2::program(sysroot).map(drop),
            Bootloader::Zipl | Bootloader::Aboot => stamped::require(sysroot, self),
        }
    }

    /// Whether its configuration becomes active together with the entries.
    pub(super) fn is_atomic(self, sysroot: &Sysroot) -> Result<bool> {
        match self {
            Bootloader::Grub2 => Ok(efi_config_dir(sysroot)?.is_none()),
            _ => Ok(true),
        }
    }
}

/// Where GRUB has its configuration below an EFI system partition, if it was found there; one
/// that is set by name is taken for the other sort, as in libostree.
pub(super) fn efi_config_dir(sysroot: &Sysroot) -> Result<Option<String>> {
    let boot = sysroot.boot()?;
    if sysroot.settings().bootloader != "auto" || has_bios_config(boot)? {
        return Ok(None);
    }
    grub2::find_efi_dir(boot)
}

fn has_grub2(boot: &Dir) -> Result<bool> {
    if has_static_config(boot)? {
        return Ok(false);
    }
    Ok(has_bios_config(boot)? || grub2::find_efi_dir(boot)?.is_some())
}

/// A link that leads nowhere yet counts: it will, after the first deploy.
fn has_bios_config(boot: &Dir) -> Result<bool> {
    Ok(boot.exists("grub/grub.cfg")? || boot.exists("grub2/grub.cfg")?)
}

/// Whether bootupd put a fixed `grub.cfg` in place that reads the entries by itself.
fn has_static_config(boot: &Dir) -> Result<bool> {
    let Some(bytes) = boot.read_opt("bootupd-state.json", LIMIT)? else { return Ok(false) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.contains("\"static-configs\"") && !text.contains("\"static-configs\":null"))
}
