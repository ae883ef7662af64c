use crate::{Dir, FsError, Result};

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
}
