//! A throw-away sysroot that the real `ostree` deploys into.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use trefoil_fsat::Fs;
use trefoil_repo::{Repo, TreeId};

use crate::tree::Op;

/// Whether the peer and the privilege are there; under CI it is a failure if they are not.
pub fn have_ostree_and_root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let ostree = Command::new("ostree").arg("--version").output().is_ok_and(|o| o.status.success());
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!ci || (root && ostree), "under CI this test needs root and ostree");
    if !(root && ostree) {
        eprintln!("SKIPPED: needs root ({root}) and the real ostree ({ostree})");
    }
    root && ostree
}

pub struct Sysroot {
    temp: TempDir,
    commits: u32,
}

/// A deployment as the oracle made it.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub path: PathBuf,
    pub checksum: String,
}

impl Deployed {
    pub fn etc(&self) -> PathBuf {
        self.path.join("etc")
    }

    pub fn usr_etc(&self) -> PathBuf {
        self.path.join("usr/etc")
    }
}

impl Sysroot {
    pub fn new() -> Sysroot {
        let sysroot = Sysroot { temp: TempDir::new().unwrap(), commits: 0 };
        fs::create_dir(sysroot.path()).unwrap();
        let tree = sysroot.tree();
        let kernel = tree.join("usr/lib/modules/5");
        fs::create_dir_all(&kernel).unwrap();
        fs::create_dir_all(sysroot.defaults()).unwrap();
        fs::write(kernel.join("vmlinuz"), "kernel").unwrap();
        fs::write(kernel.join("initramfs.img"), "initramfs").unwrap();
        fs::write(tree.join("usr/lib/os-release"), "NAME=x\nPRETTY_NAME=\"x 1\"\n").unwrap();
        sysroot.ostree(&["admin", "init-fs", "--modern", &sysroot.path().to_string_lossy()]);
        sysroot.admin(&["os-init", "os"]);
        let repo = format!("--repo={}", sysroot.repo_path().display());
        sysroot.ostree(&[&repo, "config", "set", "core.fsync", "false"]);
        sysroot
    }

    pub fn temp(&self) -> &Path {
        self.temp.path()
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("sysroot")
    }

    fn tree(&self) -> PathBuf {
        self.temp.path().join("tree")
    }

    /// The `usr/etc` that the next commit will have.
    pub fn defaults(&self) -> PathBuf {
        self.tree().join("usr/etc")
    }

    fn repo_path(&self) -> PathBuf {
        self.path().join("ostree/repo")
    }

    pub fn repo(&self) -> Repo {
        Repo::open(Fs::new().open_dir(self.repo_path()).unwrap()).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new("ostree")
            .args(args)
            .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments,no-dtb")
            .output()
            .unwrap()
    }

    fn ostree(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "ostree {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn admin(&self, args: &[&str]) -> String {
        let sysroot = format!("--sysroot={}", self.path().display());
        let mut all = vec!["admin", args[0], &sysroot];
        all.extend(&args[1..]);
        self.ostree(&all)
    }

    /// Changes the defaults and commits the tree.
    pub fn commit(&mut self, ops: &[Op]) -> String {
        ops.iter().for_each(|op| op.apply(&self.defaults()));
        self.commits += 1;
        let repo = format!("--repo={}", self.repo_path().display());
        let tree = format!("--tree=dir={}", self.tree().display());
        let time = format!("--timestamp=@{}", 1_600_000_000 + self.commits);
        // A branch for each, or the real one prunes what only a spare needs.
        let branch = format!("commit{}", self.commits);
        self.ostree(&[&repo, "commit", "-b", &branch, &tree, &time])
    }

    /// Deploys a commit, merging with the newest deployment; libostree's words if it fails.
    pub fn deploy(&self, checksum: &str) -> Result<Deployed, String> {
        let sysroot = format!("--sysroot={}", self.path().display());
        let out = self.run(&["admin", "deploy", &sysroot, "--os=os", checksum]);
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        let path = self.path().join(format!("ostree/deploy/os/deploy/{checksum}.0"));
        assert!(path.is_dir(), "{}", path.display());
        Ok(Deployed { path, checksum: checksum.to_owned() })
    }

    /// The directory `usr/etc` of a commit in the repository.
    pub fn etc_of(&self, checksum: &str) -> TreeId {
        let repo = self.repo();
        let commit = repo.load_commit(&checksum.parse().unwrap()).unwrap();
        let mut at = TreeId::of_commit(&commit);
        for name in ["usr", "etc"] {
            let tree = repo.load_dirtree(&at.tree).unwrap();
            let entry = tree.dirs.iter().find(|d| d.name.as_str() == name).unwrap();
            at = TreeId { tree: entry.tree, meta: entry.meta };
        }
        at
    }

    /// A new directory below the temporary one.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.temp().join(name);
        fs::create_dir(&path).unwrap();
        path
    }
}
