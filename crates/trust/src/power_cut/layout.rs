//! How disks are laid out.

use clap::ValueEnum;

const MIB: u64 = 1 << 20;
/// Size of a root, and of a `/boot` of its own. Little of it is ever written.
pub const ROOT: u64 = 600 * MIB;
const BOOT: u64 = 64 * MIB;
const ESP: u64 = 64 * MIB;
/// Size of a disk with an EFI system partition.
pub const ESP_DISK: u64 = 400 * MIB;

/// How a disk is laid out.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Layout {
    /// All on ext4.
    Ext4,
    /// All on XFS.
    Xfs,
    /// All on btrfs.
    Btrfs,
    /// The root on XFS, `/boot` on an ext4 of its own.
    XfsBootExt4,
    /// A disk image with a partition table, as `image create` makes it.
    Image,
    /// Root and `/boot` on ext4, GRUB's configuration on an EFI system partition: FAT. Only when it
    /// is asked for, since it takes a virtual machine.
    EspFat,
}

/// A file system on the disk.
#[derive(Copy, Clone, Debug)]
pub struct Part {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// What `mount` calls it.
    pub kind: &'static str,
    /// Where it is mounted, below the root.
    pub at: &'static str,
}

impl Part {
    /// Whether a byte of the disk belongs to it.
    pub fn holds(&self, at: u64) -> bool {
        (self.offset..self.offset + self.size).contains(&at)
    }
}

impl Layout {
    /// All that this machine can mount.
    pub const ALL: [Layout; 5] =
        [Layout::Ext4, Layout::Xfs, Layout::Btrfs, Layout::XfsBootExt4, Layout::Image];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Ext4 => "ext4",
            Layout::Xfs => "xfs",
            Layout::Btrfs => "btrfs",
            Layout::XfsBootExt4 => "xfs, /boot ext4",
            Layout::Image => "a disk image",
            Layout::EspFat => "ext4, ESP FAT",
        }
    }

    /// The EFI system partition, where there is one. All sizes are those of `image create`.
    pub fn esp(self) -> Option<Part> {
        let esp = Part { offset: MIB, size: ESP, kind: "vfat", at: "boot/efi" };
        (self == Layout::EspFat).then_some(esp)
    }

    /// Its file systems but for the EFI system partition, the root first.
    pub fn parts(self) -> Vec<Part> {
        let root = |kind| Part { offset: 0, size: ROOT, kind, at: "" };
        match self {
            Layout::Ext4 => vec![root("ext4")],
            Layout::Xfs => vec![root("xfs")],
            Layout::Btrfs => vec![root("btrfs")],
            Layout::XfsBootExt4 => {
                vec![root("xfs"), Part { offset: ROOT, size: BOOT, kind: "ext4", at: "boot" }]
            }
            // The table and its copy take the first MiB and the last.
            Layout::Image => {
                vec![Part { offset: MIB, size: ROOT - 2 * MIB, kind: "ext4", at: "" }]
            }
            Layout::EspFat => {
                let (boot, root) = (MIB + ESP, MIB + ESP + BOOT);
                let size = ESP_DISK - root - MIB;
                vec![
                    Part { offset: root, size, kind: "ext4", at: "" },
                    Part { offset: boot, size: BOOT, kind: "ext4", at: "boot" },
                ]
            }
        }
    }
}
