use trefoil_format::checksum::Checksum;

use super::{BootFile, CommitTree, DeviceTree, KernelLayout};
use crate::{Result, SysrootError};

const PLACES: [&str; 2] = ["usr/lib/ostree-boot", "boot"];

/// A kernel in the places used before `usr/lib/modules`. There the builder of the tree has
/// put the bootcsum at the end of the file names.
pub(super) fn find(tree: &CommitTree<'_>) -> Result<Option<KernelLayout>> {
    for place in PLACES {
        if let Some((path, dir)) = tree.lookup_dir(place)? {
            // The first that exists counts, kernel or not.
            return find_in(tree, &path, &dir);
        }
    }
    Ok(None)
}

fn find_in(tree: &CommitTree<'_>, path: &str, dir: &Checksum) -> Result<Option<KernelLayout>> {
    let dirtree = tree.load(dir)?;
    let pick = |prefix: &str| -> Result<Option<(BootFile, Checksum)>> {
        for entry in &dirtree.files {
            let name = entry.name.as_str();
            let Some((stem, sum)) =
                name.starts_with(prefix).then(|| name.rsplit_once('-')).flatten()
            else {
                continue;
            };
            let Ok(sum) = Checksum::from_hex(sum) else { continue };
            let Some((source, object)) = tree.lookup_file(&format!("{path}/{name}"))? else {
                continue;
            };
            let (_, size) = tree.stat(&object)?;
            return Ok(Some((BootFile { source, name: stem.to_string(), object, size }, sum)));
        }
        Ok(None)
    };
    let Some((kernel, bootcsum)) = pick("vmlinuz-")? else { return Ok(None) };
    let same = |found: Option<(BootFile, Checksum)>, what: &str| match found {
        None => Ok(None),
        Some((file, sum)) if sum == bootcsum => Ok(Some(file)),
        Some(_) => Err(SysrootError::State(format!("Mismatched kernel checksum vs {what}"))),
    };
    Ok(Some(KernelLayout {
        initramfs: same(pick("initramfs-")?, "initrd")?,
        devicetree: same(pick("devicetree-")?, "device tree in tree")?.map(DeviceTree::File),
        hmac: None,
        aboot: None,
        kernel,
        bootcsum,
    }))
}
