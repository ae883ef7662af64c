//! A folder with an OS tree, a repository, and an image.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use trefoil_testkit::os_tree::OsTree;
use trefoil_testkit::ostree::{is_root, missing};

/// Where the root partition of an image without a boot loader begins.
const ROOT_OFFSET: u64 = 1 << 20;

/// Whether loop devices and programs are there; in CI they have to be.
pub fn can_attach(programs: &[&str]) -> bool {
    if !is_root() || !succeeds(Command::new("losetup").arg("--find")) {
        missing("images need root and loop devices");
        return false;
    }
    let absent = programs.iter().find(|p| Command::new(p).arg("--version").output().is_err());
    if let Some(program) = absent {
        missing(&format!("{program} is not installed"));
    }
    absent.is_none()
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

pub struct Lab {
    dir: TempDir,
    pub tree: OsTree,
    files: usize,
}

impl Lab {
    /// A tree of some more `files` than a minimal system has, and no commit yet.
    pub fn new(files: usize) -> Lab {
        // Not below /tmp: that may lie in memory.
        let dir = TempDir::new_in("/var/tmp").expect("a temporary directory can be made");
        let tree = OsTree::create(&dir.path().join("tree"));
        for n in 0..files {
            tree.write(&format!("usr/share/d{}/f{n}", n / 20), &format!("file {n}\n"));
        }
        let lab = Lab { dir, tree, files };
        lab.must(&["init", "--mode=archive"]);
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes ten files and commits them as the version.
    pub fn commit(&self, version: u32) {
        for n in 0..10.min(self.files) {
            let at = n * self.files / 10;
            self.tree.write(&format!("usr/share/d{}/f{at}", at / 20), &format!("v{version}\n"));
        }
        self.tree.write("usr/lib/version", &format!("{version}\n"));
        let tree = format!("--tree=dir={}", self.tree.path().display());
        let metadata = format!("--add-metadata-string=version={version}");
        self.must(&["commit", "--branch=os", &tree, &metadata]);
    }

    /// The image `disk.img` from version 1.
    pub fn create(&self, more: &[&str]) {
        self.commit(1);
        self.must(&[&["image", "create", "disk.img", "os", "--size=120M"], more].concat());
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
        command.args(words).arg("--repo=repo").current_dir(self.dir.path());
        command.env("OSTREE_SYSROOT_DEBUG", "mutable-deployments");
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program can be started")
    }

    /// Runs our program, which has to succeed.
    pub fn must(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs our program, which has to fail, and gives its words.
    pub fn must_fail(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Updates the image and gives the report.
    pub fn update(&self, more: &[&str]) -> serde_json::Value {
        let words = [&["image", "update", "disk.img", "os", "--json"], more].concat();
        serde_json::from_str(&self.must(&words)).expect("the report is JSON")
    }

    /// The versions of the deployments, the one that boots first.
    pub fn versions(&self) -> Vec<String> {
        let text = self.must(&["image", "status", "disk.img", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let deployments = status["deployments"].as_array().expect("there is a list").clone();
        deployments.iter().map(|d| d["version"].as_str().unwrap_or("-").to_string()).collect()
    }

    /// Mounts the root of the image for the time of `look`.
    pub fn mounted<T>(&self, image: &str, look: impl FnOnce(&Path) -> T) -> T {
        let mount = self.path("mount");
        std::fs::create_dir_all(&mount).expect("the folder is writable");
        self.wait_until_free();
        let options = format!("loop,offset={ROOT_OFFSET}");
        tool("mount", &["-o", &options, image, &mount.to_string_lossy()], self.dir.path());
        let mounted = Mounted(mount.clone());
        let answer = look(&mount);
        drop(mounted);
        answer
    }

    /// Waits until the kernel has taken away what a killed run left.
    pub fn wait_until_free(&self) {
        let start = Instant::now();
        let image = self.path("disk.img");
        let image = image.to_string_lossy();
        while !tool("losetup", &["--associated", &image], self.dir.path()).is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10), "a loop device stays attached");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fails where the root file system of the image is damaged, its journal replayed.
    pub fn check_ext4(&self) {
        self.wait_until_free();
        let dir = self.dir.path();
        let offset = ROOT_OFFSET.to_string();
        let attach = ["--find", "--show", "--offset", &offset, "disk.img"];
        let device = tool("losetup", &attach, dir);
        let device = device.trim();
        // The second copy of the partition table behind the file system does not matter.
        let check = |args: &[&str]| {
            let ran = Command::new("e2fsck").args(args).arg(device).output().expect("it starts");
            (ran.status.success(), String::from_utf8_lossy(&ran.stdout).into_owned())
        };
        let replayed = check(&["-y", "-E", "journal_only"]);
        let checked = check(&["-f", "-n"]);
        tool("losetup", &["--detach", device], dir);
        assert!(replayed.0, "the journal: {}", replayed.1);
        assert!(checked.0, "damaged: {}", checked.1);
    }
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // A failed test has something else to say first.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Runs a program that has to succeed and gives what it prints.
pub fn tool(program: &str, args: &[&str], dir: &Path) -> String {
    let output = Command::new(program).args(args).current_dir(dir).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text} {error}");
    text
}
