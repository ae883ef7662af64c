use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trefoil_fsat::{Fs, FsError};
use trefoil_repo::{Repo, RepoError, TreeEntry, TreeId};
use trefoil_sysroot::Sysroot;

use crate::{ImageError, Result};

/// What starts the kernel.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bootloader {
    /// Nothing in the image: the virtual machine is given kernel and arguments, which
    /// [`crate::export_boot_files`] takes out of it.
    #[default]
    None,
    /// systemd-boot on UEFI. It reads entries and kernels from `/boot`, an ext4 file system, by
    /// way of an ext4 driver for UEFI. Neither is signed, so Secure Boot has to be off.
    SystemdBoot,
    /// extlinux on BIOS.
    Extlinux,
}

impl Bootloader {
    /// What the setting `sysroot.bootloader` has to be for it: libostree looks for nothing where
    /// the entries are all that is needed.
    pub(crate) const fn setting(self) -> &'static str {
        match self {
            Bootloader::None | Bootloader::SystemdBoot => "none",
            Bootloader::Extlinux => "syslinux",
        }
    }
}

/// Where files of boot loaders are looked for when neither the tree nor the caller has them.
#[derive(Clone, Debug, Default)]
pub struct LoaderFiles {
    /// systemd-boot's program for UEFI, instead of that in the tree or on the host.
    pub systemd_boot: Option<PathBuf>,
    /// The ext4 driver for UEFI, instead of that in the tree or on the host.
    pub efi_ext4: Option<PathBuf>,
}

/// Largest program of a boot loader.
pub(crate) const LIMIT: u64 = 16 << 20;

/// A file by an ordinary path.
pub(crate) fn read_at(fs: &Fs, path: &Path) -> Result<Option<Vec<u8>>> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let (Ok(dir), Some(name)) = (fs.open_dir(parent), path.file_name()) else { return Ok(None) };
    Ok(dir.read_opt(name, LIMIT)?)
}

/// The tree of the commit that the image is made from.
pub(crate) struct Tree<'a> {
    /// Where it is.
    pub repo: &'a Repo,
    /// Its root.
    pub root: TreeId,
}

impl Tree<'_> {
    /// The content of a file of the tree; `None` where there is none, or no regular one.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let checksum = match self.repo.lookup(self.root, path) {
            Ok(TreeEntry::File(checksum)) => checksum,
            Ok(TreeEntry::Dir(_)) | Err(RepoError::PathNotFound { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let object = self.repo.load_file(&checksum)?;
        if object.header.symlink_target.is_some() || object.size > LIMIT {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let mut content = object.content.take(LIMIT);
        content.read_to_end(&mut bytes).map_err(|e| FsError::new("read", path, e))?;
        Ok(Some(bytes))
    }
}

/// Says in the deployment that boots next where `/boot` is, unless it says so itself: systems
/// that do not find it by its partition type would go without.
pub(crate) fn write_fstab(sysroot: &Sysroot, boot_uuid: &str) -> Result<()> {
    let deployment = sysroot.deployment(0)?;
    let tree = sysroot.dir().open_dir(deployment.path())?;
    let Some(etc) = tree.open_dir_opt("etc")? else { return Ok(()) };
    let old = etc.read_opt("fstab", LIMIT)?.unwrap_or_default();
    let mut text = String::from_utf8_lossy(&old).into_owned();
    let has_boot = |line: &str| line.split_whitespace().nth(1) == Some("/boot");
    if text.lines().any(has_boot) {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("UUID={boot_uuid} /boot ext4 defaults 0 2\n"));
    // A new file, not a write through what may be a hard link.
    Ok(etc.write("fstab", text.as_bytes(), 0o644)?)
}

/// A file that a boot loader needs was found nowhere.
pub(crate) fn missing(what: &str, option: &str, package: &str) -> ImageError {
    ImageError::Refused(format!(
        "{what} is neither in the tree nor on this machine: name it with {option}, or get \
         Debian's package {package}"
    ))
}
