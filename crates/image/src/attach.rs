use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{OpenTreeFlags, open_tree};
use trefoil_fsat::{File, Fs, FsError};

use crate::error::During;
use crate::tools::run;
use crate::{ImageError, Layout, Partition, Result, Role, loops};

/// Below /run: a directory that only our namespaces mount on, so that runs do not meet.
const RUN: &str = "trefoil";
const MOUNT_POINT: &str = "image";

/// What is done in the namespace, before the mounts are taken out of it.
pub(crate) type Prepare<'a> = dyn Fn(&Path) -> Result<()> + Sync + 'a;

/// Whether an attached disk may be written to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To look. Only a journal is replayed where one waits for it.
    ReadOnly,
    /// To change it.
    ReadWrite,
}

/// The file systems of a disk, mounted nowhere: a tree of mounts that only this handle leads to.
/// When it is closed, and be it because the process was killed, the kernel unmounts them, and
/// clears the loop devices with their last user.
#[derive(Debug)]
pub(crate) struct Attached {
    tree: OwnedFd,
    /// Held, so that a device outlives its file system until its account was read.
    devices: Vec<Device>,
    fs: Fs,
    filesystem: String,
    has_boot: bool,
}

#[derive(Debug)]
struct Device {
    name: String,
    written_before: u64,
    _held: Option<File>,
}

impl Attached {
    /// Mounts the root of the disk in the file `disk` (an absolute path), and its `/boot` in it.
    /// `prepare` is called with the root where programs find it in the list of mounts.
    ///
    /// # Errors
    /// No permission; a file system that cannot be mounted.
    pub(crate) fn attach(
        fs: &Fs,
        disk: &Path,
        layout: &Layout,
        access: Access,
        prepare: &Prepare<'_>,
    ) -> Result<Attached> {
        let run = run_dir(fs)?;
        fs.open_dir(&run)?.ensure_dir(MOUNT_POINT, 0o700)?;
        let root = run.join(MOUNT_POINT);
        let root = root.as_path();
        let work =
            || Workshop { fs, disk, root, access, devices: Vec::new() }.mount(layout, prepare);
        // The programs that mount work in a namespace, which ends with the thread.
        let done = std::thread::scope(|scope| scope.spawn(work).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A path to the root of the disk, for this process only.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.tree.as_raw_fd()))
    }

    /// The kind of file system of the root.
    pub(crate) fn filesystem(&self) -> &str {
        &self.filesystem
    }

    /// Makes everything durable, unmounts, and gives the bytes that were written to the disk
    /// since it was attached. Nothing below the root may be open any more.
    pub(crate) fn detach(self, access: Access) -> Result<u64> {
        if access == Access::ReadWrite {
            let root = self.fs.open_dir(self.root())?;
            root.sync_fs()?;
            if self.has_boot {
                root.open_dir("boot")?.sync_fs()?;
            }
        }
        drop(self.tree);
        let block = self.fs.open_dir("/sys/block")?;
        let mut bytes = 0;
        for device in &self.devices {
            let now = loops::written_to(&block, &device.name)?;
            bytes += now.saturating_sub(device.written_before);
        }
        Ok(bytes)
    }
}

/// Our directory below /run.
pub(crate) fn run_dir(fs: &Fs) -> Result<PathBuf> {
    fs.open_dir("/run")?.ensure_dir(RUN, 0o700)?;
    Ok(Path::new("/run").join(RUN))
}

/// The mounting of one disk, in a namespace of its own.
struct Workshop<'a> {
    fs: &'a Fs,
    disk: &'a Path,
    root: &'a Path,
    access: Access,
    devices: Vec<Device>,
}

impl Workshop<'_> {
    fn mount(mut self, layout: &Layout, prepare: &Prepare<'_>) -> Result<Attached> {
        unshare(CloneFlags::CLONE_NEWNS)
            .map_err(|e| system("make a mount namespace for", self.disk, e))?;
        // Nothing spreads from here; what goes elsewhere goes here too, so that we keep nobody's
        // file system busy.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
            .map_err(|e| system("make a private copy of", "/", e))?;
        let before = loops::written(self.fs)?;
        let filesystem = self.mount_one(layout.root()?, self.root, &before)?;
        let boot = layout.find(Role::Boot);
        if let Some(boot) = boot {
            let at = self.root.join("boot");
            let inside = self.fs.open_dir(self.root)?;
            if self.access == Access::ReadWrite {
                inside.ensure_dir("boot", 0o755)?;
            }
            // `mount` would follow a link, out of the image. Nobody else can lay one now.
            drop(inside.open_dir("boot")?);
            self.mount_one(boot, &at, &before)?;
        }
        prepare(self.root)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(rustix::fs::CWD, self.root, flags)
            .map_err(|e| FsError::new("take the mounts of", self.root, e))?;
        Ok(Attached {
            tree,
            devices: self.devices,
            fs: self.fs.clone(),
            filesystem,
            has_boot: boot.is_some(),
        })
    }

    /// Mounts a partition at `at` and gives the kind of its file system.
    fn mount_one(
        &mut self,
        partition: &Partition,
        at: &Path,
        before: &[(String, u64)],
    ) -> Result<String> {
        let place = format!("offset={},sizelimit={}", partition.start, partition.size);
        let common = format!("loop,{place},nosuid,nodev,noexec,noatime");
        let attempt = |options: &str| {
            let options = format!("{common}{options}");
            let words = [OsStr::new("-o"), options.as_ref(), self.disk.as_os_str(), at.as_os_str()];
            run("mount", words)
        };
        match self.access {
            Access::ReadWrite => attempt(""),
            Access::ReadOnly => attempt(",ro").or_else(|_| {
                // A machine that was cut off left a journal; the next boot would replay it too.
                attempt("")?;
                umount2(at, MntFlags::empty()).map_err(|e| system("unmount", at, e))?;
                attempt(",ro")
            }),
        }
        .during(|| format!("mounting the {} partition", partition.role.label()))?;
        let Some(found) = loops::mounted_at(self.fs, at)? else {
            let at = at.display();
            return Err(ImageError::Refused(format!("nothing is mounted at {at} after mounting")));
        };
        self.hold_device(&found.device, before)?;
        Ok(found.kind)
    }

    fn hold_device(&mut self, device: &Path, before: &[(String, u64)]) -> Result<()> {
        let Some(name) = device.file_name().and_then(OsStr::to_str) else { return Ok(()) };
        let known = before.iter().find(|(known, _)| known == name);
        // Without a node for it in /dev the account ends with the device, and is not told.
        let held = self.fs.open_dir("/dev")?.open_file(name).ok();
        let written_before = known.map_or(0, |(_, bytes)| *bytes);
        self.devices.push(Device { name: name.to_string(), written_before, _held: held });
        Ok(())
    }
}

fn system(op: &'static str, path: impl AsRef<Path>, error: nix::Error) -> FsError {
    FsError::new(op, path, std::io::Error::from(error))
}
