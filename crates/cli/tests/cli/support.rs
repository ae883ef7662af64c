//! A repository with a history, and the two programs to run on it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: &Output) -> Said {
        Said {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The line that begins with `error:`.
    pub fn error_line(&self) -> &str {
        self.err.lines().find(|l| l.starts_with("error:")).unwrap_or("no error line")
    }
}

/// Whether the real `ostree` is there. In CI it has to be.
pub fn need_ostree() -> bool {
    let found = Command::new("ostree").arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "ostree is missing: apt install ostree"
        );
        eprintln!("SKIPPED: ostree is not installed, nothing was compared");
    }
    found
}

/// A folder of its own with a repository `repo` and a directory `tree`.
pub struct Lab {
    dir: TempDir,
}

impl Lab {
    /// An empty repository.
    pub fn new(mode: &str) -> Lab {
        let lab = Lab { dir: TempDir::new().expect("a temporary directory can be made") };
        let made = lab.trefoil(&["init", &format!("--mode={mode}")]);
        assert!(made.ok, "{made:?}");
        lab
    }

    /// Three commits on `main`, refs of several sorts, a remote, a summary.
    pub fn with_history(mode: &str) -> Lab {
        let lab = Lab::new(mode);
        lab.tree();
        let commit = |lab: &Lab, time: &str, more: &[&str]| {
            let mut words = vec!["commit", "-b", "main", "--tree=dir=tree", time];
            words.extend_from_slice(more);
            lab.must(&words);
        };
        commit(&lab, "--timestamp=@1000000000", &["-s", "First"]);
        std::fs::write(lab.path("tree/new"), "new").expect("tree is writable");
        std::fs::write(lab.path("tree/dir/file"), "changed").expect("tree is writable");
        std::fs::remove_file(lab.path("tree/empty")).expect("tree is writable");
        commit(&lab, "--timestamp=@1100000000", &["-m", "Body\nof two lines"]);
        std::fs::create_dir(lab.path("tree/fresh")).expect("tree is writable");
        std::fs::write(lab.path("tree/fresh/one"), "1").expect("tree is writable");
        commit(
            &lab,
            "--timestamp=@1200000000",
            &[
                "-s",
                "Third\nwith a second line",
                "-m",
                "Body",
                "--add-metadata-string=version=1.5",
                "--add-metadata=number=uint64 42",
                "--add-detached-metadata-string=note=apart",
            ],
        );
        lab.must(&["refs", "--create=a/b/c", "main"]);
        lab.must(&["refs", "--create=a/d", "main^"]);
        lab.must(&["refs", "--create=main-alias-target", "main"]);
        lab.must(&["refs", "-A", "--create=alias", "main-alias-target"]);
        lab.must(&["remote", "add", "--no-sign-verify", "origin", "https://example.com/repo"]);
        lab.must(&["remote", "add", "--no-sign-verify", "other-one", "file:///nosuch"]);
        lab.must(&["summary", "-u"]);
        lab
    }

    /// Fills `tree` with files of several sorts.
    pub fn tree(&self) {
        let tree = self.path("tree");
        std::fs::create_dir_all(tree.join("dir/sub")).expect("the folder is writable");
        std::fs::write(tree.join("dir/file"), "content").expect("the folder is writable");
        std::fs::write(tree.join("dir/sub/deep"), "deep").expect("the folder is writable");
        std::fs::write(tree.join("empty"), "").expect("the folder is writable");
        std::fs::write(tree.join("prog"), "#!/bin/sh\n").expect("the folder is writable");
        symlink("dir/file", tree.join("link")).expect("the folder is writable");
        let mode = |path: &str, mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(tree.join(path), mode).expect("the file is ours");
        };
        mode("prog", 0o755);
        mode("dir", 0o755);
        mode("dir/sub", 0o700);
        mode("dir/file", 0o644);
    }

    /// A path in the folder.
    pub fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    /// Everything in the folder: for each path what `stat` says but for the time of access, and
    /// the content. Whoever writes anything anywhere makes it another one.
    pub fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.dir.path().to_path_buf()];
        while let Some(path) = open.pop() {
            let stat = std::fs::symlink_metadata(&path).expect("nothing goes meanwhile");
            let content = if stat.is_dir() {
                let entries = std::fs::read_dir(&path).expect("it can be listed");
                open.extend(entries.map(|entry| entry.expect("it can be listed").path()));
                String::new()
            } else if stat.is_file() {
                let mut hasher = DefaultHasher::new();
                hasher.write(&std::fs::read(&path).expect("it can be read"));
                format!("{:x}", hasher.finish())
            } else {
                String::new()
            };
            let times = (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec());
            let inode = (stat.ino(), stat.nlink(), stat.size(), stat.mode());
            found.insert(path, format!("{inode:?} {times:?} {content}"));
        }
        found
    }

    /// The checksum of some object of this type.
    pub fn an_object(&self, suffix: &str) -> Option<String> {
        let mut found = Vec::new();
        for dir in std::fs::read_dir(self.path("repo/objects")).expect("a repository has objects") {
            let dir = dir.expect("it can be listed").path();
            for object in std::fs::read_dir(&dir).expect("it can be listed") {
                let object = object.expect("it can be listed").path();
                if object.extension().is_some_and(|e| e == suffix) {
                    let name = |p: &Path| p.file_stem()?.to_str().map(str::to_string);
                    found.push(format!("{}{}", name(&dir)?, name(&object)?));
                }
            }
        }
        found.sort();
        found.into_iter().next()
    }

    /// Runs the real `ostree`.
    pub fn ostree(&self, words: &[&str]) -> Said {
        self.run("ostree".as_ref(), words)
    }

    /// Runs our program under its own name.
    pub fn trefoil(&self, words: &[&str]) -> Said {
        self.run(env!("CARGO_BIN_EXE_trefoil").as_ref(), words)
    }

    /// Runs our program on another repository than `repo`.
    pub fn trefoil_on(&self, repo: &str, words: &[&str]) -> Said {
        let program = env!("CARGO_BIN_EXE_trefoil").as_ref();
        self.run_on(program, words, Some(&format!("--repo={repo}")))
    }

    /// Runs our program, which has to succeed.
    pub fn must(&self, words: &[&str]) -> String {
        let said = self.trefoil(words);
        assert!(said.ok, "{words:?}: {said:?}");
        said.out
    }

    fn run(&self, program: &Path, words: &[&str]) -> Said {
        // A word that is no verb knows no --repo either.
        let verb_known = !words[words.len() - 1].starts_with("nosuchverb") && words != ["remote"];
        self.run_on(program, words, verb_known.then_some("--repo=repo"))
    }

    fn run_on(&self, program: &Path, words: &[&str], repo: Option<&str>) -> Said {
        let output = Command::new(program)
            .args(words)
            .args(repo)
            .current_dir(self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .output()
            .expect("the program can be started");
        Said::of(&output)
    }
}

/// What two programs said differently; gathered, so that one run tells all.
#[derive(Default)]
pub struct Differing(Vec<String>);

impl Differing {
    /// Runs a verb that has to succeed in both. The order of lines does not count for `refs`:
    /// old versions of `ostree` give them in none. Progress among the output is not compared.
    pub fn compare(&mut self, lab: &Lab, mode: &str, words: &[&str]) {
        let (theirs, ours) = (lab.ostree(words), lab.trefoil(words));
        let lines = |said: &Said| {
            let lines = said.out.lines().filter(|line| !line.starts_with("fsck objects ("));
            let mut lines: Vec<String> = lines.map(str::to_string).collect();
            if words[0] == "refs" {
                lines.sort();
            }
            lines
        };
        if !ours.ok || lines(&theirs) != lines(&ours) {
            self.0.push(format!("{mode}: {words:?}\ntheirs: {theirs:#?}\nours: {ours:#?}"));
        }
    }

    /// Runs a verb that has to fail in both. Our words may go on where theirs end.
    pub fn compare_failure(&mut self, lab: &Lab, words: &[&str]) {
        let (theirs, ours) = (lab.ostree(words), lab.trefoil(words));
        let alike = ours.error_line().starts_with(theirs.error_line());
        if theirs.ok || ours.ok || !alike || ours.out != theirs.out {
            let (theirs_line, ours_line) = (theirs.error_line(), ours.error_line());
            self.0.push(format!("{words:?}\ntheirs: {theirs_line}\nours:   {ours_line}"));
        }
    }

    /// Fails with everything that differed.
    pub fn must_be_none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
    }
}
