use std::path::Path;

use gpt::partition_types::{self, Type};
use serde::Serialize;
use trefoil_fsat::File;

use crate::{Bootloader, ImageError, Result};

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Where the first partition begins, and what they are aligned to.
const ALIGNMENT: u64 = MIB;
/// Large enough for FAT32 and a few boot loaders.
const ESP_SIZE: u64 = 64 * MIB;
/// A root of less than this holds no system.
const SMALLEST_ROOT: u64 = 32 * MIB;
/// How the header of a table begins, and how much of it we look at, in bytes.
const SIGNATURE: &[u8] = b"EFI PART";
const HEADER: usize = 92;
/// Every program writes 128 entries of this size.
const ENTRY_SIZE: u32 = 128;
const MOST_ENTRIES: u32 = 1024;
/// "Boot this one" for a BIOS boot loader.
const LEGACY_BIOS_BOOTABLE: u64 = 1 << 2;

/// What a partition is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The EFI system partition.
    Esp,
    /// `/boot`: kernels and entries, for boot loaders that read one file system.
    Boot,
    /// The root file system, with the sysroot.
    Root,
}

impl Role {
    fn partition_type(self) -> Type {
        match self {
            Role::Esp => partition_types::EFI,
            Role::Boot => partition_types::FREEDESK_BOOT,
            Role::Root if cfg!(target_arch = "aarch64") => partition_types::LINUX_ROOT_ARM_64,
            Role::Root => partition_types::LINUX_ROOT_X64,
        }
    }

    fn of_type(found: &Type) -> Option<Role> {
        let is = |known: Type| found.guid == known.guid;
        if is(partition_types::EFI) {
            Some(Role::Esp)
        } else if is(partition_types::FREEDESK_BOOT) {
            Some(Role::Boot)
        } else if is(partition_types::LINUX_ROOT_X64) || is(partition_types::LINUX_ROOT_ARM_64) {
            Some(Role::Root)
        } else {
            None
        }
    }

    /// The name of the partition, and the label of its file system.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Role::Esp => "ESP",
            Role::Boot => "boot",
            Role::Root => "root",
        }
    }
}

/// A partition of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// What it is for.
    pub role: Role,
    /// Its number, from 1.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub size: u64,
    /// Its UUID, which a file system made here has as well.
    pub uuid: String,
}

/// The partitions of a disk that we know the use of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
}

impl Layout {
    /// Writes a fresh partition table for `bootloader` to the file, which is as long as the disk.
    ///
    /// # Errors
    /// The disk is too small.
    pub(crate) fn write(file: &mut File, bootloader: Bootloader) -> Result<Layout> {
        let path = file.path().to_path_buf();
        let size = file.stat()?.size;
        let sectors = u32::try_from(size / SECTOR - 1).unwrap_or(u32::MAX);
        let plan = plan(size, bootloader)?;
        let failed = |e: gpt::GptError| ImageError::table(&path)(e);
        gpt::mbr::ProtectiveMBR::with_lb_size(sectors)
            .overwrite_lba0(file)
            .map_err(|e| failed(std::io::Error::other(e.to_string()).into()))?;
        let config = gpt::GptConfig::new().writable(true);
        let mut disk = config.create_from_device(&mut *file, None).map_err(failed)?;
        for (number, (role, start, size)) in (1..).zip(plan) {
            let bios = role == Role::Boot && bootloader == Bootloader::Extlinux;
            let flags = if bios { LEGACY_BIOS_BOOTABLE } else { 0 };
            let (start, len) = (start / SECTOR, size / SECTOR);
            disk.add_partition_at(role.label(), number, start, len, role.partition_type(), flags)
                .map_err(failed)?;
        }
        disk.write().map_err(failed)?;
        Layout::read(file, &path)
    }

    /// Reads the partition table; partitions that are for something else are left out.
    ///
    /// # Errors
    /// There is none, it is damaged, or it has no root partition or several.
    pub(crate) fn read(file: &mut File, path: &Path) -> Result<Layout> {
        check_entries(file, path)?;
        let disk = gpt::GptConfig::new().open_from_device(file).map_err(ImageError::table(path))?;
        let mut partitions = Vec::new();
        for (number, entry) in disk.partitions() {
            let Some(role) = Role::of_type(&entry.part_type_guid) else { continue };
            let sectors = entry.last_lba.saturating_add(1).saturating_sub(entry.first_lba);
            partitions.push(Partition {
                role,
                number: *number,
                start: entry.first_lba.saturating_mul(SECTOR),
                size: sectors.saturating_mul(SECTOR),
                uuid: entry.part_guid.to_string(),
            });
        }
        let layout = Layout { partitions };
        for role in [Role::Root, Role::Boot, Role::Esp] {
            let count = layout.partitions.iter().filter(|p| p.role == role).count();
            if count > 1 || (count == 0 && role == Role::Root) {
                let path = path.display();
                let what = format!("{path} has {count} partitions of the type '{}'", role.label());
                return Err(ImageError::Refused(what));
            }
        }
        Ok(layout)
    }

    /// The partition with this use.
    pub fn find(&self, role: Role) -> Option<&Partition> {
        self.partitions.iter().find(|p| p.role == role)
    }

    /// The root partition.
    pub(crate) fn root(&self) -> Result<&Partition> {
        let none = || ImageError::Refused("the disk has no root partition".into());
        self.find(Role::Root).ok_or_else(none)
    }
}

/// Refuses what the library reads the entries of without a bound, or not at all: both headers, at
/// the beginning and at the end of the disk, tell how many there are and how large they are.
fn check_entries(file: &File, path: &Path) -> Result<()> {
    let last = file.stat()?.size.saturating_sub(SECTOR) / SECTOR * SECTOR;
    for start in [SECTOR, last] {
        let mut header = [0; HEADER];
        let mut filled = 0;
        while filled < HEADER {
            match file.read_at(&mut header[filled..], start + filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        let number = |at: usize| header[at..].first_chunk().map_or(0, |n| u32::from_le_bytes(*n));
        let (count, size) = (number(80), number(84));
        if header.starts_with(SIGNATURE) && (count > MOST_ENTRIES || size != ENTRY_SIZE) {
            return Err(ImageError::Refused(format!(
                "{} has a partition table of {count} entries of {size} bytes; not more than \
                 {MOST_ENTRIES} of {ENTRY_SIZE} are read",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Use, start and size in bytes of each partition; the root comes last and takes what is left.
fn plan(size: u64, bootloader: Bootloader) -> Result<Vec<(Role, u64, u64)>> {
    let boot = (size / 8).clamp(64 * MIB, 1024 * MIB) / ALIGNMENT * ALIGNMENT;
    let before: &[(Role, u64)] = match bootloader {
        Bootloader::None => &[],
        Bootloader::SystemdBoot => &[(Role::Esp, ESP_SIZE), (Role::Boot, boot)],
        Bootloader::Extlinux => &[(Role::Boot, boot)],
    };
    let mut start = ALIGNMENT;
    let mut parts = Vec::new();
    for (role, size) in before {
        parts.push((*role, start, *size));
        start += size;
    }
    // The last MiB holds the second copy of the table.
    let end = size.saturating_sub(ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    match end.checked_sub(start) {
        Some(root) if root >= SMALLEST_ROOT => {
            parts.push((Role::Root, start, root));
            Ok(parts)
        }
        _ => Err(ImageError::Refused(format!(
            "a disk of {} MiB is too small: {} MiB are needed at least, and what the system takes",
            size / MIB,
            (start + SMALLEST_ROOT + ALIGNMENT) / MIB
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: partitions are aligned, do not overlap, and leave room for the second table.
    #[test]
    fn partitions_fit() {
        for size in [300 * MIB, 400 * MIB + 12_345, 8 << 30, 3 << 40] {
            for bootloader in [Bootloader::None, Bootloader::SystemdBoot, Bootloader::Extlinux] {
                let parts = plan(size, bootloader).expect("it is large enough");
                let mut end = ALIGNMENT;
                for (_, start, len) in &parts {
                    assert_eq!((*start, start % ALIGNMENT, len % ALIGNMENT), (end, 0, 0));
                    end = start + len;
                }
                assert!(end + 34 * SECTOR <= size);
                assert_eq!(parts.last().map(|p| p.0), Some(Role::Root));
            }
        }
        assert!(plan(100 * MIB, Bootloader::SystemdBoot).is_err());
    }
}
