use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sched::CloneFlags;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_remount, move_mount,
};

use crate::ops::Op;
use crate::{Dir, Fs, Result};

/// A directory with another one over it that takes all changes.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// What is seen where nothing was changed. Never written to.
    pub lower: &'a Dir,
    /// Takes the changes.
    pub upper: &'a Dir,
    /// Scratch space of the kernel, on the same file system as `upper`.
    pub work: &'a Dir,
    /// Changes only after a remount.
    pub read_only: bool,
}

impl Overlay<'_> {
    /// Mounts it at a path of the running system.
    ///
    /// # Errors
    /// The kernel has no overlayfs, or refuses: usually for want of privilege.
    pub fn mount(&self, at: &Path) -> Result<()> {
        let fs = self.lower.fs();
        fs.run(
            Op::Mount,
            || at.to_path_buf(),
            || {
                let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
                let layers =
                    [("lowerdir", self.lower), ("upperdir", self.upper), ("workdir", self.work)];
                for (key, dir) in layers {
                    // A handle as a path: names may hold what separates layers.
                    let path = format!("/proc/self/fd/{}", dir.fd().as_raw_fd());
                    fsconfig_set_string(&context, key, path)?;
                }
                fsconfig_set_string(&context, "source", "overlay")?;
                if self.read_only {
                    fsconfig_set_flag(&context, "ro")?;
                }
                fsconfig_create(&context)?;
                let attributes = match self.read_only {
                    true => MountAttrFlags::MOUNT_ATTR_RDONLY,
                    false => MountAttrFlags::empty(),
                };
                let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                move_mount(&mount, "", rustix::fs::CWD, at, flags)
            },
        )
    }
}

impl Fs {
    /// Gives the calling thread, and those it starts from now on, mounts of its own: what is
    /// remounted after it is so for them alone. Handles opened before it stay with the old
    /// mounts.
    pub fn own_mounts(&self) -> Result<()> {
        let path = || Path::new("/").to_path_buf();
        self.run(Op::Mount, path, || {
            nix::sched::unshare(CloneFlags::CLONE_NEWNS)
                .map_err(|e| Errno::from_raw_os_error(e as i32))
        })
    }

    /// Lets what is mounted at `path` be written to; the file system itself only if it must be.
    pub fn remount_writable(&self, path: &Path) -> Result<()> {
        let remount = |flags: MountFlags| {
            let run = || mount_remount(path, flags | MountFlags::RELATIME, "");
            self.run(Op::Mount, || path.to_path_buf(), run)
        };
        remount(MountFlags::BIND)?;
        match self.open_dir(path)?.space()?.read_only {
            true => remount(MountFlags::empty()),
            false => Ok(()),
        }
    }
}
