//! Two sysroots side by side: ours, and one that the real `ostree` works on.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use trefoil_fsat::Fs;
use trefoil_repo::RepoMode;
use trefoil_sysroot::deploy::{DeployOptions, DeployReport, FullCheckout};
use trefoil_sysroot::{
    Account, Booted, Epoch, Finalized, Sysroot, SysrootLock, SysrootOptions, init_fs,
};
use trefoil_testkit::os_tree::OsTree;
use trefoil_testkit::ostree::Ostree;

pub const STATEROOT: &str = "testos";
pub const REF: &str = "os/main";

/// A scratch directory with a tree, a source repository and two sysroots.
pub struct Bench {
    dir: tempfile::TempDir,
    pub tree: OsTree,
    pub ostree: Ostree,
}

pub fn builder() -> FullCheckout {
    FullCheckout { reason: "test".into() }
}

impl Bench {
    /// `None` without root or `ostree`; that was said.
    pub fn new() -> Option<Bench> {
        Bench::new_in(&std::env::temp_dir())
    }

    /// As [`Bench::new`], below `parent`.
    pub fn new_in(parent: &Path) -> Option<Bench> {
        let dir = tempfile::tempdir_in(parent).expect("scratch directory");
        let ostree = Ostree::for_sysroot(&dir.path().join("theirs"))?;
        let tree = OsTree::create(&dir.path().join("tree"));
        let bench = Bench { dir, tree, ostree };
        bench.ostree.run(&["init", "--mode=bare", "--repo", &bench.text("source")]);
        fs::create_dir(bench.theirs()).expect("make directory");
        fs::create_dir(bench.ours()).expect("make directory");
        bench.ostree.admin(&["init-fs", "--modern", &bench.text("theirs")]);
        bench.ostree.admin(&["os-init", STATEROOT]);
        let root = Fs::new().open_dir(bench.ours()).expect("open");
        init_fs(&root, Epoch::Modern, RepoMode::Bare).expect("init_fs");
        let mut sysroot = bench.open();
        let lock = bench.lock(&mut sysroot);
        sysroot.init_stateroot(&lock, STATEROOT).expect("init_stateroot");
        Some(bench)
    }

    fn text(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub fn ours(&self) -> PathBuf {
        self.dir.path().join("ours")
    }

    pub fn theirs(&self) -> PathBuf {
        self.dir.path().join("theirs")
    }

    /// A runner of the real `ostree` on our sysroot.
    pub fn ostree_on_ours(&self) -> Ostree {
        Ostree::for_sysroot(&self.ours()).expect("it was there before")
    }

    /// Commits the tree and pulls the commit into both sysroots.
    pub fn commit(&self, version: Option<&str>) {
        let (repo, tree) = (format!("--repo={}", self.text("source")), self.text("tree"));
        let branch = format!("--branch={REF}");
        let version = version.map(|v| format!("--add-metadata-string=version={v}"));
        let mut args = vec!["commit", &repo, &branch, &tree];
        args.extend(version.as_deref());
        self.ostree.run(&args);
        for sysroot in [self.ours(), self.theirs()] {
            let repo = format!("--repo={}/ostree/repo", sysroot.display());
            self.ostree.run(&["pull-local", &repo, &self.text("source"), REF]);
        }
    }

    /// Opens ours as libostree 2022.7 would name things.
    pub fn open(&self) -> Sysroot {
        self.open_with(&Fs::new()).expect("open sysroot")
    }

    pub fn open_with(&self, fs: &Fs) -> trefoil_sysroot::Result<Sysroot> {
        let options = SysrootOptions {
            mutable_deployments: true,
            bootloader_naming_1: true,
            ..SysrootOptions::default()
        };
        Sysroot::open(fs, self.ours(), options)
    }

    /// Opens ours as the running system, from the deployment at `index`; flags of this boot lie
    /// in `run` beside it.
    pub fn open_booted(&self, fs: &Fs, index: usize) -> trefoil_sysroot::Result<Sysroot> {
        let run = self.dir.path().join("run");
        let _ = std::fs::create_dir(&run);
        let deployment = self.open().deployment(index)?.clone();
        let stateroot = self.ours().join("ostree/deploy").join(STATEROOT);
        let options = SysrootOptions {
            mutable_deployments: true,
            bootloader_naming_1: true,
            booted: Some(Booted {
                root: deployment.identity,
                var: stateroot.join("var"),
                usr: self.dir.path().join("no-usr"),
            }),
            run_dir: Some(run.join("ostree")),
            ..SysrootOptions::default()
        };
        Sysroot::open(fs, self.ours(), options)
    }

    /// Stages on ours, running from the deployment at `index`.
    pub fn stage(&self, fs: &Fs, index: usize) -> trefoil_sysroot::Result<DeployReport> {
        let mut options = DeployOptions::new(REF);
        (options.stateroot, options.stage) = (Some(STATEROOT.into()), true);
        let mut sysroot = self.open_booted(fs, index)?;
        let lock = sysroot.lock(Duration::from_secs(5))?;
        let plan = sysroot.plan_deploy(&options, &builder())?;
        let clock = || Duration::ZERO;
        sysroot.apply_deploy(&lock, plan, &builder(), &mut Account::new(fs, &clock))
    }

    /// Finishes what is staged, as at shutdown.
    pub fn finalize(&self, fs: &Fs, index: usize) -> trefoil_sysroot::Result<Finalized> {
        let mut sysroot = self.open_booted(fs, index)?;
        let lock = sysroot.lock(Duration::from_secs(5))?;
        sysroot.finalize_staged(&lock, &builder())
    }

    /// Forgets the flags of this boot, as a reboot does.
    pub fn reboot(&self) {
        let _ = fs::remove_dir_all(self.dir.path().join("run"));
    }

    pub fn lock(&self, sysroot: &mut Sysroot) -> SysrootLock {
        sysroot.lock(Duration::from_secs(5)).expect("lock")
    }

    /// Deploys on ours.
    pub fn deploy(&self, change: impl FnOnce(&mut DeployOptions)) -> DeployReport {
        self.try_deploy(&Fs::new(), change).expect("deploy")
    }

    pub fn try_deploy(
        &self,
        fs: &Fs,
        change: impl FnOnce(&mut DeployOptions),
    ) -> trefoil_sysroot::Result<DeployReport> {
        let mut options = DeployOptions::new(REF);
        options.stateroot = Some(STATEROOT.into());
        change(&mut options);
        let mut sysroot = self.open_with(fs)?;
        let lock = sysroot.lock(Duration::from_secs(5))?;
        let plan = sysroot.plan_deploy(&options, &builder())?;
        let clock = || Duration::ZERO;
        let mut account = Account::new(fs, &clock);
        sysroot.apply_deploy(&lock, plan, &builder(), &mut account)
    }

    /// Deploys on theirs.
    pub fn their_deploy(&self, args: &[&str]) {
        let os = format!("--os={STATEROOT}");
        self.ostree.admin(&[&["deploy", &os], args, &[REF]].concat());
    }

    /// Fails where the two sysroots differ in anything that matters.
    pub fn assert_same(&self, when: &str) {
        let (ours, theirs) = (snapshot(&self.ours()), snapshot(&self.theirs()));
        for (path, what) in &theirs {
            assert_eq!(ours.get(path), Some(what), "{when}: {path} is not as ostree leaves it");
        }
        for path in ours.keys() {
            assert!(theirs.contains_key(path), "{when}: {path} exists on our side only");
        }
    }
}

/// Type, mode, owner and content of everything but the objects and what only one version of
/// libostree makes.
pub fn snapshot(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn left_out(path: &str) -> bool {
    let ours_alone = ["ostree/trefoil", "ostree/lock"];
    let repo_state = [
        "ostree/repo/objects",
        "ostree/repo/tmp",
        "ostree/repo/.lock",
        "ostree/repo/state",
        "ostree/repo/config",
    ];
    let versions = path.ends_with("/backing") || path.ends_with(&format!("{STATEROOT}/var"));
    versions || ours_alone.contains(&path) || repo_state.contains(&path)
}

fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).expect("list") {
        let path = entry.expect("entry").path();
        let rel = path.strip_prefix(root).expect("below").display().to_string();
        if left_out(&rel) {
            continue;
        }
        let meta = fs::symlink_metadata(&path).expect("stat");
        let mut what = format!("{:o} {}:{}", meta.permissions().mode(), meta.uid(), meta.gid());
        if meta.is_dir() {
            walk(root, &path, found);
        } else if meta.is_symlink() {
            what += &format!(" -> {}", fs::read_link(&path).expect("link").display());
        } else if meta.is_file() {
            what += &format!(" {:?}", String::from_utf8_lossy(&fs::read(&path).expect("read")));
        }
        found.insert(rel, what);
    }
}
