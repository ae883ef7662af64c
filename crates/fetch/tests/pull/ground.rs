use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use trefoil_fetch::{FetchSettings, HttpTransport, RemoteAddress};
use trefoil_format::name::RemoteName;
use trefoil_fsat::Fs;
use trefoil_repo::Repo;
use trefoil_repo::pull::{
    PullError, PullOptions, PullRef, PullSource, PullStats, SummaryCache, pull_remote,
};
use trefoil_testkit::ostree::Ostree;

use crate::server::Server;

/// A repository `srv/repo` behind a web server, and a place for others.
pub struct Ground {
    dir: TempDir,
    pub ostree: Ostree,
    pub server: Server,
}

impl Ground {
    /// `None` where there is no `ostree`, which it says loudly.
    pub fn new() -> Option<Ground> {
        let ostree = Ostree::find()?;
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::create_dir(dir.path().join("srv")).expect("directory");
        let server = Server::start(&dir.path().join("srv"));
        let ground = Ground { dir, ostree, server };
        ground.init("srv/repo", "archive");
        Some(ground)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn ostree(&self, repo: &str, args: &[&str]) -> String {
        let repo = format!("--repo={}", self.path(repo).display());
        self.ostree.run(&[&[repo.as_str()], args].concat()).trim_end().to_string()
    }

    pub fn init(&self, repo: &str, mode: &str) {
        self.ostree(repo, &["init", &format!("--mode={mode}")]);
        self.ostree(repo, &["config", "set", "core.min-free-space-percent", "0"]);
        self.ostree(repo, &["config", "set", "core.fsync", "false"]);
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.path("tree").join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, content).expect("file");
    }

    /// A tree of `dirs` directories with three files each.
    pub fn tree(&self, dirs: usize) {
        for n in 0..dirs {
            for name in ["a", "b", "c"] {
                let path = format!("d{}/e{n}/{name}", n % 7);
                self.write(&path, format!("{name} {n} {}\n", "x".repeat(n)).as_bytes());
            }
        }
        let _ = std::os::unix::fs::symlink("d0", self.path("tree/link"));
    }

    /// Commits `tree` to `main` of the served repository, with a new summary.
    pub fn commit(&self) -> String {
        let tree = format!("--tree=dir={}", self.path("tree").display());
        let canonical = ["--owner-uid=0", "--owner-gid=0", "--no-xattrs"];
        let commit = ["commit", "-b", "main", "-s", "subject", &tree];
        let checksum = self.ostree("srv/repo", &[&commit[..], &canonical].concat());
        self.ostree("srv/repo", &["summary", "-u"]);
        checksum
    }

    pub fn open(&self, repo: &str) -> Repo {
        self.open_with(repo, &Fs::new())
    }

    pub fn open_with(&self, repo: &str, fs: &Fs) -> Repo {
        Repo::open(fs.open_dir(self.path(repo)).expect("repository directory")).expect("opens")
    }

    pub fn transport(&self) -> HttpTransport {
        let url = RemoteAddress::Url(self.server.url("repo"));
        HttpTransport::open(settings(), &url, None).expect("a transport")
    }

    /// Pulls into `repo`.
    pub fn pull(&self, repo: &str, options: &PullOptions) -> Result<PullStats, PullError> {
        self.pull_to(&self.open(repo), options)
    }

    pub fn pull_to(&self, repo: &Repo, options: &PullOptions) -> Result<PullStats, PullError> {
        let transport = self.transport();
        repo.dir().ensure_dirs("tmp/cache", 0o755).expect("directory");
        let cache = repo.dir().open_dir("tmp/cache").expect("directory");
        let source = PullSource {
            transport: &transport,
            localcache: &[],
            summary: None,
            cache: Some(SummaryCache::new(&cache, "origin")),
            collection_id: None,
            http_trusted: false,
            progress: None,
        };
        pull_remote(repo, &source, options)
    }

    /// The real fsck finds nothing.
    pub fn fsck(&self, repo: &str) {
        self.ostree(repo, &["fsck", "-q"]);
    }

    /// Every file of a repository outside of `tmp`, with its content.
    pub fn outside_tmp(&self, repo: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.path(repo);
        let mut found = BTreeMap::new();
        collect(&root, &root, &mut found);
        found
    }

    /// The objects of a repository, as paths below `objects`.
    pub fn objects(&self, repo: &str) -> BTreeSet<PathBuf> {
        let all = self.outside_tmp(repo).into_keys();
        all.filter(|path| path.starts_with("objects")).collect()
    }
}

fn collect(root: &Path, dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("directory") {
        let path = entry.expect("entry").path();
        if path == root.join("tmp") || path == root.join(".lock") {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, found);
        } else {
            let content = fs::read(&path).unwrap_or_default();
            found.insert(path.strip_prefix(root).expect("below").to_path_buf(), content);
        }
    }
}

/// Patience for tests: nothing takes long.
pub fn settings() -> FetchSettings {
    FetchSettings {
        retries: 1,
        low_speed_time: Duration::from_millis(1500),
        ..FetchSettings::default()
    }
}

/// The ref `main` below the remote `origin`.
pub fn main_ref() -> PullOptions {
    PullOptions {
        refs: vec![PullRef::from("main")],
        remote: Some(RemoteName::new("origin").expect("a name")),
        ..PullOptions::default()
    }
}

/// An error with its causes, as the command line prints it.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
