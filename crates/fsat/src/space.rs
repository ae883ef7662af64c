use crate::{Dir, FsError, Result};

/// The number by which Linux knows FAT (`msdos` and `vfat`), from `linux/magic.h`.
const FAT: u64 = 0x4d44;

/// Free space of the file system a directory lies on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of a block in bytes.
    pub block_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Blocks that an ordinary user may still fill.
    pub available: u64,
    /// Free inodes; 0 of 0 on file systems without a table of them.
    pub inodes_free: u64,
    /// All inodes.
    pub inodes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
    /// What tells it from others, as the kernel has it; 0 where it has nothing.
    pub id: u64,
}

impl Space {
    /// Bytes that an ordinary user may still write.
    pub fn available_bytes(&self) -> u64 {
        self.available.saturating_mul(self.block_size)
    }
}

impl Dir {
    /// Free space of the file system this directory lies on.
    pub fn space(&self) -> Result<Space> {
        let st = rustix::fs::fstatvfs(self.fd())
            .map_err(|e| FsError::new("ask free space of", self.path(), e))?;
        Ok(Space {
            block_size: st.f_frsize,
            blocks: st.f_blocks,
            available: st.f_bavail,
            inodes_free: st.f_ffree,
            inodes: st.f_files,
            read_only: st.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
            id: st.f_fsid,
        })
    }

    /// The number by which the kernel knows the kind of file system this directory lies on.
    pub(crate) fn kind(&self) -> Result<u64> {
        let st = rustix::fs::fstatfs(self.fd())
            .map_err(|e| FsError::new("ask the kind of file system of", self.path(), e))?;
        // It is 32 bits wide, and signed on some machines.
        Ok(st.f_type as u64 & 0xFFFF_FFFF)
    }

    /// Whether this directory lies on a FAT file system, which has no links, no modes, and no
    /// journal. False for one by FUSE, which tells nobody what it is.
    pub fn is_fat(&self) -> Result<bool> {
        Ok(is_fat(self.kind()?))
    }
}

fn is_fat(kind: u64) -> bool {
    kind == FAT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fs;

    /// Guards which file systems count as FAT: `stat -f` has 0x4d44 for vfat, and other numbers
    /// for ext4, XFS, btrfs, tmpfs, overlays, exFAT and FUSE. A real vfat is tried in a virtual
    /// machine, by `trust power-cut --fs esp-fat`.
    #[test]
    fn fat_is_told_by_its_number() {
        assert!(is_fat(0x4d44));
        for other in
            [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794c_7630, 0x2011_BAB0, 0x6573_5546]
        {
            assert!(!is_fat(other), "{other:#x}");
        }
        let proc = Fs::new().open_dir("/proc").expect("there is one");
        assert_eq!(proc.kind().expect("it is told"), 0x9fa0);
        assert!(!proc.is_fat().expect("it is told"));
    }
}
