//! A door for the fuzz targets of `crates/trust` to the partition table of a foreign image.

use trefoil_fsat::File;

use crate::Layout;

/// The partitions of a disk: where each starts and its size in bytes; `None` where it has no
/// table that we would use.
pub fn partitions(file: &mut File) -> Option<Vec<(u64, u64)>> {
    let path = file.path().to_path_buf();
    let layout = Layout::read(file, &path).ok()?;
    Some(layout.partitions.iter().map(|p| (p.start, p.size)).collect())
}
