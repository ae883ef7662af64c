//! What lies in a sysroot and no deployment of a list needs.

use std::fmt;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::FileKind;

use crate::{Deployment, Result, Sysroot, SysrootError, parse_name};

/// A tree below `ostree/deploy` that no boot entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Its stateroot.
    pub stateroot: String,
    /// `CHECKSUM.SERIAL`.
    pub name: String,
}

impl Unlisted {
    /// Path below `ostree`.
    pub fn path(&self) -> String {
        format!("deploy/{}/deploy/{}", self.stateroot, self.name)
    }

    pub(crate) fn backing(&self) -> String {
        format!("deploy/{}/backing/{}", self.stateroot, self.name)
    }
}

impl fmt::Display for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stateroot, self.name)
    }
}

impl Sysroot {
    /// Every tree below `ostree/deploy` that is not in `list`, but for that of the running
    /// system, whatever the list says.
    pub(crate) fn unlisted_trees(&self, list: &[Deployment]) -> Result<Vec<Unlisted>> {
        let mut found = Vec::new();
        let stateroots = self.ostree().open_dir("deploy")?;
        for entry in stateroots.sorted_entries()? {
            if let (Some(stateroot), FileKind::Directory) = (entry.name.to_str(), entry.kind) {
                self.unlisted_of(stateroot, list, &mut found)?;
            }
        }
        Ok(found)
    }

    fn unlisted_of(
        &self,
        stateroot: &str,
        list: &[Deployment],
        found: &mut Vec<Unlisted>,
    ) -> Result<()> {
        let path = format!("deploy/{stateroot}/deploy");
        let Some(deploy) = self.ostree().open_dir_opt(path)? else { return Ok(()) };
        for entry in deploy.sorted_entries()? {
            if entry.kind != FileKind::Directory {
                continue;
            }
            let name = entry.name.to_string_lossy().into_owned();
            let Some((checksum, serial)) = parse_name(&name) else {
                return Err(SysrootError::State(format!(
                    "Invalid deploy name '{name}', expected CHECKSUM.TREESERIAL in {}",
                    deploy.path().display()
                )));
            };
            let is_it = |d: &Deployment| {
                d.stateroot == stateroot && d.checksum == checksum && d.serial == serial
            };
            let runs = || -> Result<bool> {
                Ok(Some(deploy.stat(&name)?.identity()) == self.options().running_root)
            };
            if !list.iter().any(is_it) && !runs()? {
                found.push(Unlisted { stateroot: stateroot.to_string(), name });
            }
        }
        Ok(())
    }

    /// Kernels and overlay initrds that no entry of `list` names, as paths below `boot`.
    pub(crate) fn unlisted_boot_files(&self, list: &[Deployment]) -> Result<Vec<String>> {
        let Ok(boot) = self.boot() else { return Ok(Vec::new()) };
        let Some(ostree) = boot.open_dir_opt("ostree")? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in ostree.sorted_entries()?.iter().filter(|e| e.kind == FileKind::Directory) {
            let Some((name, sum)) =
                entry.name.to_str().and_then(|n| Some((n, n.rsplit_once('-')?.1)))
            else {
                continue;
            };
            let Ok(bootcsum) = Checksum::from_hex(sum) else { continue };
            if !list.iter().any(|d| d.bootcsum == bootcsum) {
                found.push(format!("ostree/{name}"));
            }
        }
        let Some(overlays) = ostree.open_dir_opt("initramfs-overlays")? else { return Ok(found) };
        for entry in overlays.sorted_entries()?.iter().filter(|e| e.kind == FileKind::Regular) {
            let Some(name) = entry.name.to_str() else { continue };
            let names =
                |d: &Deployment| d.entry.overlay_initrds().iter().any(|p| p.ends_with(name));
            if !list.iter().any(names) {
                found.push(format!("ostree/initramfs-overlays/{name}"));
            }
        }
        Ok(found)
    }
}
