//! A repository behind a web server, and one to pull into by the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub const TREFOIL: &str = env!("CARGO_BIN_EXE_trefoil");
/// What the environment could add to a request.
const REMOVED: [&str; 9] = [
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "NETRC",
    "OSTREE_SKIP_CACHE",
];

/// A directory with `srv/repo`, an archive with a commit on `main`, and the repository `ours`
/// whose remote `origin` leads wherever a test wants.
pub struct Ground {
    dir: TempDir,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Ground {
    pub fn new() -> Ground {
        let ground = Ground { dir: TempDir::new().expect("a temporary directory") };
        fs::create_dir_all(ground.path("srv")).expect("it is ours");
        ground.must("init --repo=srv/repo --mode=archive");
        for repo in ["srv/repo", "ours"] {
            if repo == "ours" {
                ground.must("init --repo=ours --mode=bare-user");
            }
            ground.must(&format!("config --repo={repo} set core.fsync false"));
            ground.must(&format!("config --repo={repo} set core.min-free-space-percent 0"));
        }
        ground.tree(6);
        ground.commit("main");
        ground
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Files in so many directories.
    pub fn tree(&self, dirs: usize) {
        for n in 0..dirs {
            for name in ["a", "b", "c"] {
                self.write(&format!("d{}/e{n}/{name}", n % 5), &format!("{name} {n}\n"));
            }
        }
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path("tree").join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("it is ours");
        fs::write(path, content).expect("it is ours");
    }

    /// Commits `tree` and brings the summary up to date.
    pub fn commit(&self, branch: &str) -> String {
        let words = format!("commit --repo=srv/repo -b {branch} --tree=dir=tree --no-xattrs");
        let checksum = self.must(&words).out.trim().to_string();
        self.must("summary --repo=srv/repo -u");
        checksum
    }

    /// Has `origin` lead to `url` with these settings, in a fresh repository.
    pub fn remote(&self, url: &str, settings: &[(&str, &str)]) {
        let _ = fs::remove_dir_all(self.path("ours"));
        self.must("init --repo=ours --mode=bare-user");
        self.must("config --repo=ours set core.fsync false");
        self.must("config --repo=ours set core.min-free-space-percent 0");
        let mut words = vec!["remote", "add", "--repo=ours", "--no-sign-verify"];
        let set: Vec<String> =
            settings.iter().map(|(key, value)| format!("--set={key}={value}")).collect();
        words.extend(set.iter().map(String::as_str));
        let said = self.run(&[&words[..], &["origin", url]].concat(), &[]);
        assert!(said.ok, "{said:?}");
    }

    /// Pulls `main`.
    pub fn pull(&self) -> Said {
        self.run(&["pull", "--repo=ours", "origin", "main"], &[])
    }

    /// Pulls `main`, which works, and finds nothing wrong with what came.
    pub fn pulls(&self) {
        let said = self.pull();
        assert!(said.ok, "{said:?}");
        self.must("fsck --repo=ours -q");
        let ours = self.must("rev-parse --repo=ours origin:main").out;
        assert_eq!(ours, self.must("rev-parse --repo=srv/repo main").out);
    }

    /// Pulls `main`, which fails with `words`, and nothing of it is here.
    #[track_caller]
    pub fn refused(&self, words: &str) {
        let said = self.pull();
        assert!(!said.ok, "it was pulled: {said:?}");
        assert!(said.err.contains(words), "not {words:?}: {said:?}");
        assert_eq!(self.must("refs --repo=ours").out, "");
    }

    pub fn must(&self, words: &str) -> Said {
        let said = self.trefoil(words);
        assert!(said.ok, "{words}: {said:?}");
        said
    }

    pub fn trefoil(&self, words: &str) -> Said {
        self.run(&words.split(' ').collect::<Vec<_>>(), &[])
    }

    /// Runs the program with these variables, and none that are about the network.
    pub fn run(&self, words: &[&str], environment: &[(&str, &str)]) -> Said {
        let output = self.command(words, environment).output().expect("it starts");
        said(&output)
    }

    pub fn command(&self, words: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(TREFOIL);
        command.args(words).current_dir(self.root());
        for name in REMOVED {
            command.env_remove(name);
        }
        command.env("HOME", self.root()).env("LC_ALL", "C.UTF-8");
        command.envs(environment.iter().copied());
        command
    }
}

fn said(output: &Output) -> Said {
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
