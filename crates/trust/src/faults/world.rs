//! The places a scenario works in, put back before every try.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tempfile::TempDir;
use trefoil_fsat::Fs;
use trefoil_repo::Repo;
use trefoil_sysroot::{Booted, Sysroot, SysrootLock, SysrootOptions};
use trefoil_testkit::os_tree::OsTree;

use crate::Result;

pub const STATEROOT: &str = "testos";
pub const REF: &str = "os/main";
/// The time of every commit, in seconds since 1970.
pub const TIME: u64 = 1_700_000_000;

/// Thousands of runs, each with its syncs: on a disk they would take hours.
const MEMORY: &str = "/dev/shm";

/// A tree to commit, and beside it everything that scenarios change.
pub struct World {
    dir: TempDir,
    pub tree: OsTree,
    /// Whether the last deployment of the list is the one the machine runs from.
    pub booted: AtomicBool,
}

impl World {
    pub fn new() -> Result<World> {
        let dir = match Path::new(MEMORY).is_dir() {
            true => TempDir::new_in(MEMORY)?,
            false => TempDir::new()?,
        };
        let tree = OsTree::create(&dir.path().join("tree"));
        fs::create_dir(dir.path().join("live"))?;
        Ok(World { dir, tree, booted: AtomicBool::new(false) })
    }

    /// A place that is put back before every try.
    pub fn live(&self, name: &str) -> PathBuf {
        self.dir.path().join("live").join(name)
    }

    /// Remembers everything as it is now under a name.
    pub fn save(&self, name: &str) -> Result<()> {
        copy(&self.live(""), &self.dir.path().join(name))
    }

    /// Puts everything back as it was. Hard links stay, inode numbers and change times do not.
    pub fn restore(&self, name: &str) -> Result<()> {
        fs::remove_dir_all(self.live(""))?;
        copy(&self.dir.path().join(name), &self.live(""))
    }

    pub fn repo(&self, fs: &Fs, name: &str) -> Result<Repo> {
        Ok(Repo::open(fs.open_dir(self.live(name))?)?)
    }

    /// The sysroot, as a program opens it that has `fs` for its door.
    pub fn sysroot(&self, fs: &Fs) -> Result<Sysroot> {
        let mut options = SysrootOptions {
            mutable_deployments: true,
            // As the `ostree` that is asked for its opinion.
            bootloader_naming_1: true,
            ..SysrootOptions::default()
        };
        let path = self.live("sysroot");
        if self.booted.load(Relaxed) {
            let list = Sysroot::open(&Fs::new(), &path, options.clone())?;
            let last = list.listed().last().ok_or("nothing to boot")?;
            let stateroot = path.join("ostree/deploy").join(STATEROOT);
            options.booted = Some(Booted {
                root: last.identity,
                var: stateroot.join("var"),
                usr: self.dir.path().join("no-usr"),
            });
            options.run_dir = Some(self.live("run/ostree"));
        }
        Ok(Sysroot::open(fs, path, options)?)
    }

    /// The same, with its lock held.
    pub fn locked(&self, fs: &Fs) -> Result<(Sysroot, SysrootLock)> {
        let mut sysroot = self.sysroot(fs)?;
        let lock = sysroot.lock(Duration::from_secs(45))?;
        Ok((sysroot, lock))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-aT").arg(from).arg(to).status()?;
    if done.success() { Ok(()) } else { Err(format!("cannot copy {}", from.display()).into()) }
}
