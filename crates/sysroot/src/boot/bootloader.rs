use trefoil_fsat::{Dir, FileKind};

use super::BootSettings;
use crate::{Result, SysrootError};

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

    /// Fails for a boot loader whose files we cannot write: it would go on booting the old
    /// list.
    pub(crate) fn require_supported(self) -> Result<()> {
        if matches!(self, Bootloader::Syslinux | Bootloader::Uboot) {
            return Ok(());
        }
        Err(SysrootError::Refused(format!(
            "writing the configuration of boot loader {} is not supported yet; nothing was changed",
            self.word()
        )))
    }
}

fn has_grub2(boot: &Dir) -> Result<bool> {
    if has_static_config(boot)? {
        return Ok(false);
    }
    if boot.exists("grub/grub.cfg")? || boot.exists("grub2/grub.cfg")? {
        return Ok(true);
    }
    let Some(efi) = boot.open_dir_opt("efi/EFI")? else { return Ok(false) };
    for entry in efi.entries()?.into_iter().filter(|e| e.kind == FileKind::Directory) {
        // `BOOT` holds the fallback loader of any system.
        if entry.name != "BOOT" && efi.exists(std::path::Path::new(&entry.name).join("grub.cfg"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether bootupd put a fixed `grub.cfg` in place that reads the entries by itself.
fn has_static_config(boot: &Dir) -> Result<bool> {
    let Some(bytes) = boot.read_opt("bootupd-state.json", LIMIT)? else { return Ok(false) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.contains("\"static-configs\"") && !text.contains("\"static-configs\":null"))
}
