//! Finding the kernel of a tree and what belongs to it, from the commit alone.
//!
//! libostree looks into the deployed directory and hashes what it finds each time. We look at
//! the commit's own metadata, so that a plan knows the answer before anything is written, and
//! hash only files whose objects are new to us.

pub(crate) mod bootcsum;
mod legacy;
mod modules;
mod tree;

use trefoil_format::checksum::Checksum;
use trefoil_repo::Repo;

use crate::{Result, SysrootError};
pub(crate) use bootcsum::BootcsumCache;
pub(crate) use tree::CommitTree;

/// A file of the tree that goes to `/boot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// Path in the tree; no component is a symbolic link.
    pub source: String,
    /// Name below `boot/ostree/STATEROOT-BOOTCSUM`.
    pub name: String,
    /// Its object.
    pub object: Checksum,
    /// Size in bytes.
    pub size: u64,
}

/// The device trees of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceTree {
    /// One file for the field `devicetree`.
    File(BootFile),
    /// A directory for the field `fdtdir`; files are copied with their paths below it.
    Dir {
        /// Path in the tree.
        source: String,
        /// Name below the bootcsum directory.
        name: String,
        /// All files below it: path relative to the directory, object, size in bytes.
        files: Vec<(String, Checksum, u64)>,
    },
}

/// The kernel of a tree and what is booted with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLayout {
    /// The kernel.
    pub kernel: BootFile,
    /// The initial RAM disk.
    pub initramfs: Option<BootFile>,
    /// Device trees.
    pub devicetree: Option<DeviceTree>,
    /// The kernel's HMAC, for FIPS mode.
    pub hmac: Option<BootFile>,
    /// An Android boot image.
    pub aboot: Option<BootFile>,
    /// Checksum over kernel, initramfs and device trees, as libostree computes it.
    pub bootcsum: Checksum,
}

impl KernelLayout {
    /// The single files, in the order they are installed.
    pub fn files(&self) -> impl Iterator<Item = &BootFile> {
        let devicetree = match &self.devicetree {
            Some(DeviceTree::File(file)) => Some(file),
            _ => None,
        };
        let optional =
            [self.initramfs.as_ref(), devicetree, self.hmac.as_ref(), self.aboot.as_ref()];
        std::iter::once(&self.kernel).chain(optional.into_iter().flatten())
    }

    /// Bytes that all of it takes in `/boot`.
    pub fn size(&self) -> u64 {
        let in_dir: u64 = match &self.devicetree {
            Some(DeviceTree::Dir { files, .. }) => files.iter().map(|(_, _, size)| size).sum(),
            _ => 0,
        };
        self.files().map(|f| f.size).sum::<u64>() + in_dir
    }
}

/// Finds the kernel of `commit`. As in libostree `usr/lib/modules/KVER` comes first, but a
/// legacy place wins where only it has an initramfs.
///
/// With several kernels in `usr/lib/modules` libostree takes whichever the file system lists
/// first; we take the first by name.
///
/// # Errors
/// [`SysrootError::NoKernel`] where there is none.
pub(crate) fn find_kernel(
    repo: &Repo,
    commit: &Checksum,
    no_dtb: bool,
    cache: &mut BootcsumCache,
) -> Result<KernelLayout> {
    let tree = CommitTree::new(repo, repo.load_commit(commit)?.root_tree);
    let modern = modules::find(&tree, no_dtb)?;
    let legacy = legacy::find(&tree)?;
    match (modern, legacy) {
        (Some(modern), Some(legacy))
            if modern.initramfs.is_none() && legacy.initramfs.is_some() =>
        {
            Ok(legacy)
        }
        (Some(modern), _) => modern.finish(repo, cache),
        (None, Some(legacy)) => Ok(legacy),
        (None, None) => Err(SysrootError::NoKernel { commit: *commit }),
    }
}
