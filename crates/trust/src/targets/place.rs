//! Repositories that targets work in, made once: in memory where that can be had.

#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use trefoil_fsat::Fs;
use trefoil_repo::{Repo, RepoMode};

/// A repository in a directory that goes away with it.
pub struct Place {
    root: TempDir,
    /// The repository, which does not sync.
    pub repo: Repo,
}

/// A new directory.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => TempDir::new_in(memory),
        false => TempDir::new(),
    };
    made.expect("a place for what is tried")
}

/// Opens a new repository.
pub fn create(at: &Path, mode: RepoMode) -> Repo {
    fs::create_dir_all(at).expect("a directory");
    let settings = "fsync=false\nmin-free-space-percent=0\n";
    let text = format!("[core]\nrepo_version=1\nmode={}\n{settings}", mode.config_word());
    fs::write(at.join("config"), text).expect("a file");
    let dir = Fs::new().open_dir(at).expect("it was just made");
    Repo::create(dir, mode, None).expect("a repository")
}

impl Place {
    fn new(mode: RepoMode) -> Place {
        let root = scratch();
        let repo = create(root.path(), mode);
        Place { root, repo }
    }

    /// Puts a file into the repository, whatever was there.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.root.path().join(path);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).expect("a directory");
        }
        fs::write(path, bytes).expect("a file");
    }
}

/// Runs with an archive and a repository of files as they are, the same ones each time; nothing
/// is to be committed to them.
pub fn in_places(run: impl FnOnce(&Place, &Place)) {
    thread_local! {
        static PLACES: [Place; 2] =
            [Place::new(RepoMode::Archive), Place::new(RepoMode::BareUserOnly)];
    }
    PLACES.with(|[archive, bare]| run(archive, bare));
}
