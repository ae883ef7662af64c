use trefoil_format::checksum::Checksum;
use trefoil_format::kargs::KernelArgs;
use trefoil_format::keyfile::KeyFile;
use trefoil_format::loader_entry::{LoaderEntry, LoaderEntryName};

use crate::origin;

/// Whether the tree of a deployment was made writable, and how.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Unlocked {
    /// Not at all.
    #[default]
    None,
    /// `ostree admin unlock`: an overlay until the next boot.
    Development,
    /// `ostree admin unlock --hotfix`: an overlay that persists.
    Hotfix,
    /// `ostree admin unlock --transient`: a read-only overlay until the next boot.
    Transient,
}

impl Unlocked {
    /// The word libostree prints.
    pub const fn word(self) -> &'static str {
        match self {
            Unlocked::None => "none",
            Unlocked::Development => "development",
            Unlocked::Hotfix => "hotfix",
            Unlocked::Transient => "transient",
        }
    }
}

/// One bootable tree below `ostree/deploy/STATEROOT/deploy`.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The stateroot it belongs to.
    pub stateroot: String,
    /// The commit it was made from.
    pub checksum: Checksum,
    /// Tells deployments of one commit in one stateroot apart.
    pub serial: u32,
    /// Checksum over kernel, initramfs and device trees.
    pub bootcsum: Checksum,
    /// Tells deployments of one bootcsum apart; part of the `ostree=` argument.
    pub bootserial: u32,
    /// The origin file; `None` where there is none.
    pub origin: Option<KeyFile>,
    /// Its boot loader entry. A deployment that was never booted into the list has only the
    /// options, or nothing.
    pub entry: LoaderEntry,
    /// File name of the entry, where it was read from one.
    pub entry_name: Option<LoaderEntryName>,
    /// Whether its tree was made writable.
    pub unlocked: Unlocked,
    /// Whether it waits to be finished at shutdown.
    pub staged: bool,
    /// Staged, and not to be finished at shutdown yet.
    pub finalization_locked: bool,
    /// Device and inode of its directory.
    pub identity: (u64, u64),
    /// Position in boot order, the default being 0.
    pub index: usize,
}

impl Deployment {
    /// `CHECKSUM.SERIAL`: the name of its directory.
    pub fn name(&self) -> String {
        format!("{}.{}", self.checksum, self.serial)
    }

    /// Path of its directory in the sysroot.
    pub fn path(&self) -> String {
        format!("ostree/deploy/{}/deploy/{}", self.stateroot, self.name())
    }

    /// Path of its origin file in the sysroot.
    pub fn origin_path(&self) -> String {
        format!("{}.origin", self.path())
    }

    /// Path in the sysroot of the directory that holds its overlays.
    pub fn backing_path(&self) -> String {
        format!("ostree/deploy/{}/backing/{}", self.stateroot, self.name())
    }

    /// Whether both are the same directory: stateroot, commit and serial agree.
    pub fn same_as(&self, other: &Deployment) -> bool {
        self.stateroot == other.stateroot
            && self.checksum == other.checksum
            && self.serial == other.serial
    }

    /// Whether it is kept whatever is deployed after it.
    pub fn is_pinned(&self) -> bool {
        self.origin.as_ref().is_some_and(origin::is_pinned)
    }

    /// The refspec of its origin.
    pub fn refspec(&self) -> Option<String> {
        self.origin.as_ref().and_then(origin::refspec)
    }

    /// The kernel arguments of its entry, `ostree=` among them.
    pub fn kargs(&self) -> KernelArgs {
        KernelArgs::parse(self.entry.get("options").unwrap_or(""))
    }
}

/// Reads `CHECKSUM.SERIAL`, the name of a deployment's directory.
pub fn parse_name(name: &str) -> Option<(Checksum, u32)> {
    let (checksum, serial) = name.split_once('.')?;
    if serial.is_empty() || !serial.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some((Checksum::from_hex(checksum).ok()?, serial.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: a foreign name in `deploy/` is never taken for a deployment.
    #[test]
    fn only_whole_names_are_deployments() {
        let hex = "0".repeat(64);
        assert_eq!(parse_name(&format!("{hex}.12")).map(|p| p.1), Some(12));
        for bad in ["", ".", "x.0", &hex, &format!("{hex}."), &format!("{hex}.0.origin")] {
            assert!(parse_name(bad).is_none(), "{bad}");
        }
        assert!(parse_name(&format!("{hex}.+1")).is_none());
        assert!(parse_name(&format!("{hex}.99999999999")).is_none());
    }
}
