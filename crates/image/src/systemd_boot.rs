use std::path::Path;

use trefoil_fsat::Fs;

use crate::bootloader::{Tree, missing, read_at};
use crate::tools::run;
use crate::{LoaderFiles, Place, Result};

/// Where distributions have it, in a tree and on a host.
const PROGRAM: &str = "usr/lib/systemd/boot/efi/systemd-boot";
const DRIVERS: [&str; 2] = ["usr/share/refind/refind/drivers_", "usr/lib/efifs-"];
const LOADER_CONF: &[u8] = b"timeout 0\n";

/// The words of UEFI for this machine.
const ARCH: &str = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };

/// What goes onto the ESP.
pub(crate) struct EfiFiles {
    program: Vec<u8>,
    ext4: Vec<u8>,
}

impl EfiFiles {
    /// Finds both programs: where `files` says, else in the tree, else on the host.
    pub(crate) fn find(fs: &Fs, files: &LoaderFiles, tree: &Tree<'_>) -> Result<EfiFiles> {
        let programs = [format!("{PROGRAM}{ARCH}.efi")];
        let drivers = DRIVERS.map(|dir| format!("{dir}{ARCH}/ext4_{ARCH}.efi"));
        let program = find(fs, files.systemd_boot.as_deref(), &programs, tree)?
            .ok_or_else(|| missing("systemd-boot", "--systemd-boot", "systemd-boot-efi"))?;
        let ext4 = find(fs, files.efi_ext4.as_deref(), &drivers, tree)?
            .ok_or_else(|| missing("an ext4 driver for UEFI", "--efi-ext4", "refind"))?;
        Ok(EfiFiles { program, ext4 })
    }

    /// Puts them into the FAT file system in the file `fat`.
    pub(crate) fn install(&self, place: &Place, fat: &str) -> Result<()> {
        let dirs = ["::EFI", "::EFI/BOOT", "::EFI/systemd", "::EFI/systemd/drivers", "::loader"];
        run("mmd", ["-i", fat].into_iter().chain(dirs))?;
        let fallback = format!("::EFI/BOOT/BOOT{}.EFI", ARCH.to_uppercase());
        copy(place, fat, &self.program, &fallback)?;
        copy(place, fat, &self.program, &format!("::EFI/systemd/systemd-boot{ARCH}.efi"))?;
        copy(place, fat, &self.ext4, &format!("::EFI/systemd/drivers/ext4{ARCH}.efi"))?;
        copy(place, fat, LOADER_CONF, "::loader/loader.conf")
    }
}

/// The file at `given`, or the first of `paths` that the tree or the host has.
fn find(
    fs: &Fs,
    given: Option<&Path>,
    paths: &[String],
    tree: &Tree<'_>,
) -> Result<Option<Vec<u8>>> {
    if let Some(given) = given {
        return read_at(fs, given);
    }
    for path in paths {
        if let Some(bytes) = tree.read(path)? {
            return Ok(Some(bytes));
        }
    }
    for path in paths {
        if let Some(bytes) = read_at(fs, &Path::new("/").join(path))? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// mtools read their input from a file.
fn copy(place: &Place, fat: &str, bytes: &[u8], to: &str) -> Result<()> {
    let name = place.hidden("file");
    place.dir().write(&name, bytes, 0o600)?;
    let path = place.path_of(&name);
    let done = run("mcopy", ["-i", fat, &path.to_string_lossy(), to]);
    place.dir().unlink_opt(&name)?;
    done.map(drop)
}
