use trefoil_fsat::Dir;

use crate::{Result, SysrootError};

/// Which of the four sets of boot links is the active one.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct BootVersion {
    /// 0 or 1: `boot/loader` leads to `loader.N`, `ostree/boot.N` is in use.
    pub major: u8,
    /// 0 or 1: `ostree/boot.N` leads to `boot.N.M`.
    pub minor: u8,
}

impl BootVersion {
    /// Reads both links; a missing one stands for 0, as in libostree.
    pub fn read(boot: Option<&Dir>, ostree: &Dir) -> Result<BootVersion> {
        let major = match boot {
            Some(boot) => read_major(boot)?,
            None => 0,
        };
        Ok(BootVersion { major, minor: read_minor(ostree, major)? })
    }

    /// The major version that is not in use.
    pub fn other_major(self) -> u8 {
        1 - self.major
    }
}

fn read_major(boot: &Dir) -> Result<u8> {
    let bad = |what: String| SysrootError::State(what);
    match boot.stat_opt("loader")? {
        None => return Ok(0),
        Some(stat) if !stat.is_symlink() => {
            return Err(bad("Not a symbolic link: boot/loader".into()));
        }
        Some(_) => {}
    }
    match &boot.read_link("loader")?[..] {
        b"loader.0" => Ok(0),
        b"loader.1" => Ok(1),
        other => {
            Err(bad(format!("Invalid target '{}' in boot/loader", String::from_utf8_lossy(other))))
        }
    }
}

/// The minor version that `ostree/boot.MAJOR` leads to.
pub(crate) fn read_minor(ostree: &Dir, major: u8) -> Result<u8> {
    let name = format!("boot.{major}");
    match ostree.read_link_opt(&name)? {
        None => Ok(0),
        Some(target) if target.ends_with(b".0") => Ok(0),
        Some(target) if target.ends_with(b".1") => Ok(1),
        Some(target) => Err(SysrootError::State(format!(
            "Invalid target '{}' in ostree/{name}",
            String::from_utf8_lossy(&target)
        ))),
    }
}
