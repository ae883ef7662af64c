//! A place with a repository of the real `ostree`, and the needs of the tests.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use trefoil_fsat::{Dir, Fs};
use trefoil_repo::checkout::{CheckoutOptions, CheckoutStats, checkout_subpath};
use trefoil_repo::{Repo, RepoMode, Result, TreeId};

/// Whether a thing the test needs is there. In CI its absence is a failure.
fn have(what: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{what} is needed and missing");
        eprintln!("SKIPPED: {what} is needed and missing");
    }
    there
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Every mode that can be tested here. Restoring owners needs root, and so does `bare`.
pub fn modes() -> Vec<RepoMode> {
    if !have("ostree", Command::new("ostree").arg("--version").output().is_ok()) {
        return Vec::new();
    }
    let mut modes = vec![RepoMode::BareUserOnly];
    if have("root (for other modes than bare-user-only)", is_root()) {
        modes.extend([RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive]);
    }
    modes
}

pub struct Bench {
    root: TempDir,
    pub mode: RepoMode,
}

impl Bench {
    pub fn new(mode: RepoMode) -> Self {
        let bench = Bench { root: TempDir::new().unwrap(), mode };
        bench.ostree_ok(&["init", &format!("--mode={mode}")]);
        let config = bench.path("repo/config");
        let text = fs::read_to_string(&config).unwrap() + "min-free-space-percent=0\nfsync=false\n";
        fs::write(config, text).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn dir(&self, name: &str) -> Dir {
        Fs::new().open_dir(self.path(name)).unwrap()
    }

    pub fn repo(&self) -> Repo {
        Repo::open(self.dir("repo")).unwrap()
    }

    /// Runs the real `ostree` in the bench.
    pub fn ostree(&self, args: &[&str]) -> Output {
        let mut command = Command::new("ostree");
        command.current_dir(self.root.path()).arg("--repo=repo").args(args);
        command.output().expect("ostree runs")
    }

    #[track_caller]
    pub fn ostree_ok(&self, args: &[&str]) -> String {
        let output = self.ostree(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ostree {args:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_string()
    }

    /// Commits the directory `tree` of the bench to the ref of the same name.
    #[track_caller]
    pub fn commit(&self, tree: &str) -> TreeId {
        let source = format!("--tree=dir={tree}");
        let mut args = vec!["commit", "-s", "", "-b", tree, &source];
        if self.mode == RepoMode::BareUserOnly {
            args.push("--canonical-permissions");
        }
        self.ostree_ok(&args);
        self.tree(tree)
    }

    /// Removes what is there of these, for the next round.
    pub fn clean(&self, names: &[&str]) {
        for name in names {
            self.dir(".").remove_all(name).unwrap();
        }
    }

    pub fn tree(&self, rev: &str) -> TreeId {
        let repo = self.repo();
        let commit = repo.resolve_rev(rev).unwrap();
        TreeId::of_commit(&repo.load_commit(&commit).unwrap())
    }

    /// Our checkout of `rev` to `name` in the bench.
    pub fn checkout(
        &self,
        options: &CheckoutOptions,
        rev: &str,
        subpath: &str,
        name: &str,
    ) -> Result<CheckoutStats> {
        let repo = self.repo();
        checkout_subpath(&repo, options, self.tree(rev), subpath, &self.dir("."), name)
    }
}

pub fn mode_of(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a file and the directories above it. Only root can commit what its owner may not read.
pub fn file(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    mode_of(path, if is_root() { mode } else { mode | 0o600 });
}

pub fn xattr(path: &Path, name: &str, value: &[u8]) {
    let dir = Fs::new().open_dir(path.parent().unwrap()).unwrap();
    let name_of = path.file_name().unwrap().to_str().unwrap();
    dir.set_xattr_of_new(name_of, name.as_bytes(), value).unwrap();
}

/// A tree with one of everything a commit can hold. Owners and privileged attributes only
/// where we are root.
pub fn varied_tree(root: &Path) {
    for mode in [0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1644, 0o000, 0o200, 0o440] {
        file(&root.join(format!("modes/file-{mode:o}")), format!("{mode:o}").as_bytes(), mode);
        file(&root.join(format!("empty/file-{mode:o}")), b"", mode);
    }
    for mode in [0o755, 0o700, 0o777, 0o1777, 0o2775, 0o511] {
        file(&root.join(format!("dirs/dir-{mode:o}/inner")), b"inner", 0o644);
        mode_of(&root.join(format!("dirs/dir-{mode:o}")), mode);
    }
    let large: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    file(&root.join("large/file"), &large, 0o644);
    fs::create_dir_all(root.join("names")).unwrap();
    for name in ["with space", "new\nline", "-dash", "\u{fc}ml\u{e4}ut", "+before.dot", "~"] {
        file(&root.join("names").join(name), name.as_bytes(), 0o644);
    }
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("dirs", root.join("link-to-dir")).unwrap();
    symlink("/etc/passwd", root.join("names/absolute")).unwrap();
    file(&root.join("twice/a"), b"linked", 0o644);
    fs::hard_link(root.join("twice/a"), root.join("twice/b")).unwrap();
    fs::create_dir_all(root.join("hollow/deep/er")).unwrap();
    file(&root.join("attributes/file"), b"attributes", 0o644);
    file(&root.join("attributes/none"), b"attributes", 0o644);
    file(&root.join("attributes/empty"), b"", 0o644);
    for name in ["attributes/file", "attributes/empty", "attributes"] {
        xattr(&root.join(name), "user.trefoil", b"value\0with nul");
    }
    if is_root() {
        owned_tree(root);
    }
}

fn owned_tree(root: &Path) {
    for (name, mode) in [("owned/file", 0o644), ("owned/setuid", 0o4755), ("owned/empty", 0o640)] {
        let content: &[u8] = if name.ends_with("empty") { b"" } else { b"owned" };
        file(&root.join(name), content, 0o600);
        chown(root.join(name), Some(12), Some(34)).unwrap();
        mode_of(&root.join(name), mode);
    }
    symlink("file", root.join("owned/link")).unwrap();
    lchown(root.join("owned/link"), Some(12), Some(35)).unwrap();
    xattr(&root.join("owned/link"), "trusted.trefoil", b"on a link");
    xattr(&root.join("owned/file"), "security.trefoil", b"x");
    chown(root.join("owned"), Some(56), Some(78)).unwrap();
}
