//! What every verb gets: the global options, the streams, and a way to the repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use trefoil_fsat::{Dir, Fs};
use trefoil_repo::Repo;
use trefoil_repo::pull::PullProgress;
use trefoil_repo::summary::update_summary_if_asked;

use crate::error::{CliError, Context as _, Result};
use crate::progress::{self, Progress};
use crate::ui::Ui;
use crate::{dates, environment};

/// Options of all verbs.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalOptions {
    /// Path to OSTree repository (defaults to current directory or /sysroot/ostree/repo)
    #[arg(long, value_name = "PATH", global = true)]
    pub repo: Option<PathBuf>,
    /// Print debug information during command processing
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Print version information and exit
    #[arg(long, global = true)]
    pub version: bool,
    /// Show help options
    #[arg(short, long, global = true)]
    pub help: bool,
    /// Write progress as JSON lines to the open file descriptor N
    #[arg(long, value_name = "N", global = true)]
    pub progress_fd: Option<u32>,
}

/// The surroundings of one run.
#[derive(Debug)]
pub struct Context {
    /// The options all verbs have.
    pub global: GlobalOptions,
    /// Whether the verb was asked only to say what it would do.
    pub dry_run: bool,
    /// The streams.
    pub ui: Ui,
    /// The account of all file system work of this run.
    pub fs: Fs,
}

impl Context {
    /// The repository that the options, the current directory, `OSTREE_REPO` or the sysroot
    /// name, in this order, as `ostree` looks for it.
    pub fn open_repo(&self) -> Result<Repo> {
        match &self.global.repo {
            Some(path) => self.open_repo_at(path),
            None => match self.default_repo() {
                Some(path) => self.open_repo_at(&path),
                None => Err(CliError::usage("Command requires a --repo argument")),
            },
        }
    }

    /// The repository at `path`.
    pub fn open_repo_at(&self, path: &Path) -> Result<Repo> {
        let dir = self.fs.open_dir(path).context("opening repo")?;
        self.open_repo_in(dir)
    }

    /// The repository in `dir`.
    pub fn open_repo_in(&self, dir: Dir) -> Result<Repo> {
        let mut repo = Repo::open(dir).context("opening repo")?;
        if let Some(id) = environment::boot_id() {
            repo.set_boot_id(id);
        }
        // libostree makes this directory anew on every use; where we may not, nobody needs it.
        if !self.dry_run && !repo.dir().exists("tmp")? {
            let _ = repo.dir().ensure_dir("tmp", 0o775);
        }
        let path = repo.path().display();
        self.ui.debug(format_args!("repository {path} in mode {}", repo.mode()))?;
        Ok(repo)
    }

    /// The path `--repo` names, or where a repository is looked for without it.
    pub fn repo_path(&self) -> Result<PathBuf> {
        let path = self.global.repo.clone().or_else(|| self.default_repo());
        path.ok_or_else(|| CliError::usage("Command requires a --repo argument"))
    }

    fn default_repo(&self) -> Option<PathBuf> {
        if Path::new("objects").is_dir() && Path::new("config").exists() {
            return Some(PathBuf::from("."));
        }
        if let Some(path) = environment::path("OSTREE_REPO") {
            return Some(path);
        }
        let places = match environment::path("OSTREE_SYSROOT") {
            Some(root) => vec![root.join("ostree/repo")],
            None => vec![PathBuf::from("/sysroot/ostree/repo"), PathBuf::from("/ostree/repo")],
        };
        places.into_iter().find(|p| p.is_dir())
    }

    /// Brings the summary up to date where the repository is configured so; to be called after
    /// refs changed. In a dry run they did not.
    pub fn refs_changed(&self, repo: &Repo) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        update_summary_if_asked(repo, dates::now()).context("updating the summary")?;
        Ok(())
    }

    /// Shows how a pull over the network goes on, until the value is dropped. `interval` is the
    /// time between two reports, where another than the usual one is wanted.
    pub fn pull_progress(&self, pull: &Arc<PullProgress>, interval: Option<Duration>) -> Progress {
        let interval = interval.unwrap_or(progress::INTERVAL);
        let pull = Some(Arc::clone(pull));
        Progress::start_with("pull", self.fs.clone(), self.global.progress_fd, pull, interval)
    }

    /// Shows that `task` is under way, until the value is dropped.
    pub fn progress(&self, task: &'static str) -> Progress {
        Progress::start(task, self.fs.clone(), self.global.progress_fd)
    }
}
