use trefoil_format::checksum::Checksum;
use trefoil_repo::Repo;

use super::{BootFile, BootcsumCache, CommitTree, DeviceTree, KernelLayout};
use crate::Result;

const MODULES: &str = "usr/lib/modules";

/// A layout in `usr/lib/modules/KVER`, its bootcsum not known yet.
pub(super) struct Unhashed {
    kernel: BootFile,
    pub(super) initramfs: Option<BootFile>,
    devicetree: Option<DeviceTree>,
    hmac: Option<BootFile>,
    aboot: Option<BootFile>,
}

impl Unhashed {
    /// Hashes what goes into the bootcsum, or takes it from the cache.
    pub(super) fn finish(self, repo: &Repo, cache: &mut BootcsumCache) -> Result<KernelLayout> {
        let mut objects = vec![self.kernel.object];
        objects.extend(self.initramfs.as_ref().map(|f| f.object));
        match &self.devicetree {
            Some(DeviceTree::File(file)) => objects.push(file.object),
            Some(DeviceTree::Dir { files, .. }) => objects.extend(files.iter().map(|f| f.1)),
            None => {}
        }
        let bootcsum = cache.get_or_hash(repo, &objects)?;
        let Unhashed { kernel, initramfs, devicetree, hmac, aboot } = self;
        Ok(KernelLayout { kernel, initramfs, devicetree, hmac, aboot, bootcsum })
    }
}

/// The first directory in `usr/lib/modules`, by name, that has a file `vmlinuz`.
pub(super) fn find(tree: &CommitTree<'_>, no_dtb: bool) -> Result<Option<Unhashed>> {
    let Some((path, modules)) = tree.lookup_dir(MODULES)? else { return Ok(None) };
    for dir in &tree.load(&modules)?.dirs {
        let version = dir.name.as_str();
        let place = Place { tree, dir: format!("{path}/{version}") };
        let Some(kernel) = place.file("vmlinuz", format!("vmlinuz-{version}"))? else { continue };
        let initramfs_name = format!("initramfs-{version}.img");
        let initramfs = match place.file("initramfs.img", initramfs_name.clone())? {
            None => place.file("initramfs", initramfs_name)?,
            found => found,
        };
        let devicetree = if no_dtb { None } else { place.device_tree(version)? };
        return Ok(Some(Unhashed {
            hmac: place.file(".vmlinuz.hmac", format!(".vmlinuz-{version}.hmac"))?,
            aboot: place.file("aboot.img", format!("aboot-{version}.img"))?,
            kernel,
            initramfs,
            devicetree,
        }));
    }
    Ok(None)
}

/// One directory `usr/lib/modules/KVER`.
struct Place<'a> {
    tree: &'a CommitTree<'a>,
    dir: String,
}

impl Place<'_> {
    fn file(&self, name: &str, boot_name: String) -> Result<Option<BootFile>> {
        let Some((source, object)) = self.tree.lookup_file(&format!("{}/{name}", self.dir))? else {
            return Ok(None);
        };
        let (_, size) = self.tree.stat(&object)?;
        Ok(Some(BootFile { source, name: boot_name, object, size }))
    }

    fn device_tree(&self, version: &str) -> Result<Option<DeviceTree>> {
        if let Some(file) = self.file("devicetree", format!("devicetree-{version}"))? {
            return Ok(Some(DeviceTree::File(file)));
        }
        let Some((source, tree)) = self.tree.lookup_dir(&format!("{}/dtb", self.dir))? else {
            return Ok(None);
        };
        let mut files = Vec::new();
        self.walk(&source, "", &tree, &mut files)?;
        Ok(Some(DeviceTree::Dir { source, name: "dtb".into(), files }))
    }

    /// All files below a directory in the order libostree hashes them: by name, directories
    /// among files. A symbolic link counts with what it leads to.
    fn walk(
        &self,
        source: &str,
        below: &str,
        tree: &Checksum,
        files: &mut Vec<(String, Checksum, u64)>,
    ) -> Result<()> {
        let dirtree = self.tree.load(tree)?;
        let dirs = dirtree.dirs.iter().map(|d| (d.name.as_str(), Some(d.tree)));
        let mut names: Vec<_> =
            dirs.chain(dirtree.files.iter().map(|f| (f.name.as_str(), None))).collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        for (name, subtree) in names {
            let path = format!("{below}{name}");
            match subtree {
                Some(subtree) => self.walk(source, &format!("{path}/"), &subtree, files)?,
                None => {
                    let found = self.tree.lookup_file(&format!("{source}/{path}"))?;
                    let Some((_, object)) = found else { continue };
                    let (_, size) = self.tree.stat(&object)?;
                    files.push((path, object, size));
                }
            }
        }
        Ok(())
    }
}
