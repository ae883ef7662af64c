//! A minimal operating system tree that can be committed and deployed.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Builds and changes the tree of a small system in a directory.
#[derive(Clone, Debug)]
pub struct OsTree {
    root: PathBuf,
}

impl OsTree {
    /// Makes the tree in the new directory `root`: a kernel `KVER` with initramfs in
    /// `usr/lib/modules`, an os-release, a few programs and `usr/etc`.
    pub fn create(root: &Path) -> OsTree {
        let tree = OsTree { root: root.to_path_buf() };
        for dir in ["sysroot", "var", "proc", "sys", "dev", "tmp", "usr/bin", "usr/etc/app.d"] {
            fs::create_dir_all(root.join(dir)).expect("make directory");
        }
        symlink("sysroot/ostree", root.join("ostree")).expect("make link");
        symlink("usr/bin", root.join("bin")).expect("make link");
        tree.set_kernel("6.1.0", "kernel one", Some("initramfs one"));
        tree.write("usr/lib/os-release", "NAME=Test\nID=test\nPRETTY_NAME=\"Test OS 42\"\n");
        tree.write("usr/bin/tool", "#!/bin/sh\necho tool\n");
        tree.set_mode("usr/bin/tool", 0o755);
        tree.write("usr/etc/os.conf", "default=1\n");
        tree.write("usr/etc/app.d/one.conf", "one\n");
        tree.write("usr/share/empty", "");
        tree
    }

    /// Where the tree lies.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Writes a file and makes the directories above it. Replaces, so that a hard link of the
    /// old file keeps its content.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory"))
            .expect("make directory");
        let _ = fs::remove_file(&path);
        fs::write(&path, content).expect("write file");
    }

    /// Removes a file or a whole directory.
    pub fn remove(&self, path: &str) {
        let path = self.root.join(path);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).expect("remove directory");
        } else {
            fs::remove_file(path).expect("remove file");
        }
    }

    /// Sets permission bits.
    pub fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(mode))
            .expect("set mode");
    }

    /// Replaces all kernels by one.
    pub fn set_kernel(&self, version: &str, kernel: &str, initramfs: Option<&str>) {
        let _ = fs::remove_dir_all(self.root.join("usr/lib/modules"));
        let dir = format!("usr/lib/modules/{version}");
        self.write(&format!("{dir}/vmlinuz"), kernel);
        if let Some(initramfs) = initramfs {
            self.write(&format!("{dir}/initramfs.img"), initramfs);
        }
    }
}
