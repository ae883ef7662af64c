use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use trefoil_fsat::Fs;
use trefoil_repo::Repo;

/// A directory with repositories and trees in it.
pub struct Ground {
    dir: TempDir,
}

impl Ground {
    /// `None`, with a loud line, where there is no `ostree`; under CI that is a failure.
    pub fn new() -> Option<Ground> {
        if Command::new("ostree").arg("--version").output().is_err() {
            let required = std::env::var_os("CI").is_some_and(|v| v == "true");
            assert!(!required, "ostree is not installed, and CI=true");
            eprintln!("SKIPPED: ostree is not installed");
            return None;
        }
        Some(Ground { dir: tempfile::tempdir().expect("temporary directory") })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `ostree --repo=REPO ARGS` here and gives what it did, whatever the outcome.
    pub fn try_ostree(&self, repo: &str, args: &[&str]) -> Output {
        Command::new("ostree")
            .arg(format!("--repo={repo}"))
            .args(args)
            .current_dir(self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("ostree starts")
    }

    /// As above, its output; it has to succeed.
    pub fn ostree(&self, repo: &str, args: &[&str]) -> String {
        let output = self.try_ostree(repo, args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ostree {args:?} failed: {stderr}");
        String::from_utf8(output.stdout).expect("ostree prints UTF-8").trim_end().to_string()
    }

    pub fn init(&self, repo: &str, mode: &str) {
        self.ostree(repo, &["init", &format!("--mode={mode}")]);
        // The test directory may lie on a file system that is nearly full.
        self.ostree(repo, &["config", "set", "core.min-free-space-percent", "0"]);
        // Durability is not what is tested here, and syncs make up most of the time.
        self.ostree(repo, &["config", "set", "core.fsync", "false"]);
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, content).expect("file");
    }

    /// Commits `tree` and gives the checksum.
    pub fn commit(&self, repo: &str, branch: &str, time: u64) -> String {
        let time = format!("--timestamp=@{time}");
        let tree = "--tree=dir=tree";
        let owner = ["--owner-uid=0", "--owner-gid=0", "--no-xattrs"];
        let mut args = vec!["commit", "-b", branch, "-s", "subject", &time, tree];
        args.extend(owner);
        self.ostree(repo, &args)
    }

    /// A history of `count` commits on two branches, each with a file of its own, shared files,
    /// and files that move about.
    pub fn history(&self, repo: &str, count: u64) -> Vec<String> {
        let mut commits = Vec::new();
        self.write("tree/shared/deep/same", "same in all");
        self.write("tree/shared/twin", "same in all");
        for n in 0..count {
            self.write("tree/changing", &format!("content {n}"));
            self.write(&format!("tree/only/{n}"), &format!("only in {n} and later"));
            let previous = self.path(&format!("tree/moved/{}", n.wrapping_sub(1)));
            self.write(&format!("tree/moved/{n}"), "moves about");
            let _ = fs::remove_file(previous);
            std::os::unix::fs::symlink("changing", self.path(&format!("tree/link{n}")))
                .expect("link");
            commits.push(self.commit(repo, "main", 1_000_000 + 1000 * n));
            self.write("tree/dev", &format!("dev {n}"));
            commits.push(self.commit(repo, "dev", 1_000_500 + 1000 * n));
        }
        commits
    }

    /// A copy of a repository, down to hard links and attributes.
    pub fn copy(&self, from: &str, to: &str) {
        let status = Command::new("cp")
            .args(["-a", from, to])
            .current_dir(self.dir.path())
            .status()
            .expect("cp starts");
        assert!(status.success());
    }

    pub fn open(&self, repo: &str) -> Repo {
        let dir = Fs::new().open_dir(self.path(repo)).expect("repository directory");
        Repo::open(dir).expect("repository opens")
    }

    /// The files below `objects`, relative to it.
    pub fn objects(&self, repo: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let root = self.path(repo).join("objects");
        for dir in fs::read_dir(&root).expect("objects") {
            let dir = dir.expect("entry").path();
            for file in fs::read_dir(&dir).expect("object directory") {
                let path = file.expect("entry").path();
                names.insert(path.strip_prefix(&root).expect("below").display().to_string());
            }
        }
        names
    }

    /// Where an object lies, by its path in `objects`.
    pub fn object(&self, repo: &str, name: &str) -> PathBuf {
        self.path(repo).join("objects").join(name)
    }

    /// The real fsck finds nothing.
    pub fn fsck_clean(&self, repo: &str) {
        self.ostree(repo, &["fsck", "-q"]);
    }
}

/// The chain of an error, as the command line prints it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The text of a file.
pub fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("file")
}
