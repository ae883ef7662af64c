use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use trefoil_fsat::Fs;
use trefoil_repo::delta::{
    DeltaName, DeltaPlace, GenerateOptions, GenerateReport, Limits, Superblock, apply_offline,
    generate_delta,
};
use trefoil_repo::{Repo, Result};

/// A number generator that gives the same everywhere.
pub struct Noise(pub u64);

impl Noise {
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut byte = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 24) as u8
        };
        (0..len).map(|_| byte()).collect()
    }
}

/// Repositories and a tree with two versions.
pub struct Ground {
    dir: TempDir,
    pub from: String,
    pub to: String,
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

impl Ground {
    /// An archive `source` with two commits. `None`, with a loud line, where there is no
    /// `ostree`; under CI that is a failure.
    pub fn new() -> Option<Ground> {
        if Command::new("ostree").arg("--version").output().is_err() {
            let required = std::env::var_os("CI").is_some_and(|v| v == "true");
            assert!(!required, "ostree is not installed, and CI=true");
            eprintln!("SKIPPED: ostree is not installed");
            return None;
        }
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut ground = Ground { dir, from: String::new(), to: String::new() };
        ground.init("source", "archive");
        ground.old_tree();
        ground.from = ground.commit("source");
        ground.new_tree();
        ground.to = ground.commit("source");
        Some(ground)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn name(&self) -> DeltaName {
        format!("{}-{}", self.from, self.to).parse().expect("a name")
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.path("tree").join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, content).expect("file");
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path("tree").join(path)).expect("it is there");
    }

    fn mode(&self, path: &str, mode: u32) {
        let path = self.path("tree").join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    }

    fn old_tree(&self) {
        let mut noise = Noise(42);
        self.write("bin/large", &noise.bytes(700_000));
        self.write("bin/scattered", &noise.bytes(90_000));
        self.write("lib/libone.so.1", &noise.bytes(50_000));
        self.write("lib/unreadable", &noise.bytes(20_000));
        self.mode("lib/unreadable", 0o600);
        self.write("lib/packed.xz", &noise.bytes(5000));
        self.write("share/text", "a line\n".repeat(3000).as_bytes());
        self.write("share/moved/one", b"moves with its directory");
        self.write("share/moved/deep/two", &noise.bytes(3000));
        self.write("share/same", b"stays");
        self.write("share/becomes-dir", b"a file");
        self.write("share/becomes-file/x", b"in a directory");
        self.write("share/grows", &noise.bytes(300_000));
        symlink("old-target", self.path("tree/link")).expect("link");
    }

    fn new_tree(&self) {
        let read = |path: &str| fs::read(self.path("tree").join(path)).expect("it is there");
        let mut noise = Noise(4711);
        // One change in a large file, and one at its end: copies.
        let mut large = read("bin/large");
        large.splice(300_000..300_004, *b"changed here");
        self.write("bin/large", &large);
        // Changes everywhere: bsdiff.
        let mut scattered = read("bin/scattered");
        scattered.iter_mut().step_by(40).for_each(|byte| *byte = byte.wrapping_add(1));
        self.write("bin/scattered", &scattered);
        // Another name, with changes here and there.
        let mut library = read("lib/libone.so.1");
        library.iter_mut().step_by(900).for_each(|byte| *byte ^= 0x40);
        self.write("lib/libone.so.2", &library);
        self.remove("lib/libone.so.1");
        let mut unreadable = read("lib/unreadable");
        unreadable[7] ^= 1;
        self.write("lib/unreadable", &unreadable);
        self.write("lib/packed.xz", &noise.bytes(5000));
        self.write("share/text", ("a line\n".repeat(3000) + "the last line\n").as_bytes());
        fs::rename(self.path("tree/share/moved"), self.path("tree/share/moved-away"))
            .expect("rename");
        self.write("share/moved-away/three", b"new beside what moved");
        self.remove("share/becomes-dir");
        self.write("share/becomes-dir/inside", b"now a directory");
        fs::remove_dir_all(self.path("tree/share/becomes-file")).expect("it is there");
        self.write("share/becomes-file", b"");
        // A stretch of it new, behind the middle: chunks.
        let mut grows = read("share/grows");
        grows.splice(200_000..200_010, noise.bytes(20_000));
        self.write("share/grows", &grows);
        self.write("share/suid", b"#!");
        self.mode("share/suid", 0o4755);
        self.mode("share", 0o750);
        self.remove("link");
        symlink("new-target", self.path("tree/link")).expect("link");
        symlink("/absolute", self.path("tree/link2")).expect("link");
        self.attribute("share/same");
        self.attribute("share/text");
    }

    /// Gives a file an attribute, where the file system takes one.
    fn attribute(&self, path: &str) {
        let path = self.path("tree").join(path);
        let mut set = Command::new("setfattr");
        let _ = set.args(["-n", "user.test", "-v", "value"]).arg(path).status();
    }

    pub fn try_ostree(&self, repo: &str, args: &[&str]) -> Output {
        Command::new("ostree")
            .arg(format!("--repo={repo}"))
            .args(args)
            .current_dir(self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("ostree starts")
    }

    #[track_caller]
    pub fn ostree(&self, repo: &str, args: &[&str]) -> String {
        let output = self.try_ostree(repo, args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ostree {args:?} failed: {stderr}");
        String::from_utf8(output.stdout).expect("ostree prints UTF-8").trim_end().to_string()
    }

    pub fn init(&self, repo: &str, mode: &str) {
        self.ostree(repo, &["init", &format!("--mode={mode}")]);
        // The test directory may lie on a file system that is nearly full, and durability is
        // not what is tested here.
        self.ostree(repo, &["config", "set", "core.min-free-space-percent", "0"]);
        self.ostree(repo, &["config", "set", "core.fsync", "false"]);
    }

    pub fn commit(&self, repo: &str) -> String {
        self.ostree(repo, &["commit", "-b", "main", "-s", "subject", "--tree=dir=tree"])
    }

    /// A new repository that has the first commit.
    pub fn destination(&self, name: &str, mode: &str) {
        let _ = fs::remove_dir_all(self.path(name));
        self.init(name, mode);
        self.ostree(name, &["pull-local", "source", &self.from]);
    }

    pub fn open(&self, repo: &str) -> Repo {
        Repo::open(Fs::new().open_dir(self.path(repo)).expect("directory")).expect("repository")
    }

    /// Makes the delta between the two commits with us.
    pub fn generate(&self, options: &GenerateOptions<'_>) -> GenerateReport {
        generate_delta(&self.open("source"), self.name(), DeltaPlace::Repo, options)
            .expect("a delta")
    }

    /// Makes the same with `ostree`.
    pub fn generate_with_ostree(&self, args: &[&str]) {
        let from = format!("--from={}", self.from);
        let to = format!("--to={}", self.to);
        self.ostree("source", &[&["static-delta", "generate", &from, &to], args].concat());
    }

    /// Where the delta lies, relative to the ground.
    pub fn delta_dir(&self) -> String {
        format!("source/{}", self.name().dir())
    }

    /// Applies the delta in `dir` with us.
    pub fn apply(&self, repo: &str, dir: &str) -> Result<Superblock> {
        let dir = Fs::new().open_dir(self.path(dir)).expect("directory");
        apply_offline(&self.open(repo), &dir, "superblock", None, &Limits::default())
    }

    /// Applies it with `ostree`.
    #[track_caller]
    pub fn apply_with_ostree(&self, repo: &str, dir: &str) {
        self.ostree(repo, &["static-delta", "apply-offline", dir]);
    }

    /// Both have the new commit with everything in it, as `ostree` sees it.
    #[track_caller]
    pub fn assert_complete(&self, repo: &str) {
        self.ostree(repo, &["fsck", "-q"]);
        let list = |repo| self.ostree(repo, &["ls", "-R", "-X", "-C", &self.to]);
        assert_eq!(list(repo), list("source"));
    }
}
