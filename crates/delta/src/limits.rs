/// How much memory bytes from outside may cost.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest part, decompressed, in bytes, whatever the superblock promises.
    pub part: u64,
    /// Largest file that a patch is applied to or makes, in bytes.
    pub patched: u64,
    /// Most memory the LZMA decoder may want, in KiB. libostree allows as much.
    pub lzma_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { part: 1 << 30, patched: 1 << 30, lzma_kib: 100 << 10 }
    }
}
