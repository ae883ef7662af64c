use trefoil_format::checksum::Checksum;
use trefoil_format::loader_entry::{LoaderEntry, LoaderEntryName};
use trefoil_fsat::Dir;

use crate::{Result, SysrootError};

/// Largest loader entry we read.
const ENTRY_LIMIT: u64 = 1 << 20;

/// A boot loader entry as it was read, with what its file name says.
#[derive(Clone, Debug)]
pub struct ReadEntry {
    /// The parsed file name; `None` for a name in no form known to libostree.
    pub name: Option<LoaderEntryName>,
    /// The fields.
    pub entry: LoaderEntry,
}

/// All entries that belong to OSTree in `loader.MAJOR/entries`, the one booted by default
/// first.
pub fn read_entries(boot: &Dir, major: u8) -> Result<Vec<ReadEntry>> {
    let path = format!("loader.{major}/entries");
    let Some(dir) = boot.open_dir_opt(&path)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for item in dir.sorted_entries()? {
        let Some(name) = item.name.to_str() else { continue };
        if !name.starts_with("ostree-") || !name.ends_with(".conf") {
            continue;
        }
        let Some(bytes) = dir.read_beneath_opt(name, ENTRY_LIMIT)? else { continue };
        let text = String::from_utf8(bytes)
            .map_err(|_| SysrootError::State(format!("boot/{path}/{name} is not UTF-8")))?;
        let entry = LoaderEntry::parse(&text);
        found.push(ReadEntry { name: LoaderEntryName::parse(name), entry });
    }
    found.sort_by(|a, b| a.entry.compare_by_version(&b.entry));
    Ok(found)
}

/// What the `ostree=` kernel argument says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootLink {
    /// 0 or 1.
    pub major: u8,
    /// The stateroot.
    pub stateroot: String,
    /// Checksum over kernel, initramfs and device trees.
    pub bootcsum: Checksum,
    /// Position among deployments with this bootcsum.
    pub serial: u32,
}

impl BootLink {
    /// Reads `/ostree/boot.N/STATEROOT/BOOTCSUM/SERIAL`.
    pub fn parse(text: &str) -> Option<BootLink> {
        let mut parts = text.strip_prefix("/ostree/boot.")?.split('/');
        let major = match parts.next()? {
            "0" => 0,
            "1" => 1,
            _ => return None,
        };
        let stateroot = parts.next().filter(|s| !["", ".", ".."].contains(s))?.to_string();
        let bootcsum = Checksum::from_hex(parts.next()?).ok()?;
        let serial = parts.next()?;
        if !serial.bytes().all(|c| c.is_ascii_digit()) || parts.next().is_some() {
            return None;
        }
        Some(BootLink { major, stateroot, bootcsum, serial: serial.parse().ok()? })
    }

    /// The link an entry boots, from its options.
    pub fn of_entry(entry: &LoaderEntry) -> Result<BootLink> {
        let options = entry.get("options").unwrap_or("");
        let argument = options.split(' ').find_map(|arg| arg.strip_prefix("ostree="));
        let Some(argument) = argument else {
            return Err(SysrootError::State("No ostree= kernel argument found".into()));
        };
        BootLink::parse(argument).ok_or_else(|| {
            SysrootError::State(format!(
                "Invalid ostree= argument '{argument}', expected ostree=/ostree/boot.BOOTVERSION/OSNAME/BOOTCSUM/TREESERIAL"
            ))
        })
    }

    /// Path of the link in the sysroot.
    pub fn path(&self) -> String {
        let BootLink { major, stateroot, bootcsum, serial } = self;
        format!("ostree/boot.{major}/{stateroot}/{bootcsum}/{serial}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: the `ostree=` argument is read as libostree reads it, and nothing else is.
    #[test]
    fn boot_links() {
        let sum = "ab".repeat(32);
        let link = BootLink::parse(&format!("/ostree/boot.1/os/{sum}/3")).expect("well formed");
        assert_eq!((link.major, link.stateroot.as_str(), link.serial), (1, "os", 3));
        assert_eq!(link.path(), format!("ostree/boot.1/os/{sum}/3"));
        for bad in ["", "/ostree/boot.2/os/x/0", "ostree/boot.0/os"] {
            assert!(BootLink::parse(bad).is_none(), "{bad}");
        }
        assert!(BootLink::parse(&format!("/ostree/boot.1/os/{sum}/3/4")).is_none());
        for name in ["", ".", ".."] {
            assert!(BootLink::parse(&format!("/ostree/boot.1/{name}/{sum}/3")).is_none());
        }
    }
}
