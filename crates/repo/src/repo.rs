use std::path::Path;

use trefoil_format::keyfile::KeyFile;
use trefoil_fsat::{Dir, Fs};

use crate::config::RepoConfig;
use crate::lookup::RecentDirtrees;
use crate::{RepoError, RepoMode, Result};

/// Largest `config` we read.
const CONFIG_LIMIT: u64 = 1 << 20;
const DIR_MODE: u32 = 0o775;
/// `objects` comes last: a repository without it was not finished being made.
const STATE_DIRS: [&str; 8] =
    ["tmp", "extensions", "state", "refs", "refs/heads", "refs/mirrors", "refs/remotes", "objects"];
/// Stands for the boot where nobody told which one it is.
const NO_BOOT: &str = "00000000-0000-0000-0000-000000000000";
/// How many repositories `core.parent` may chain.
const PARENT_DEPTH: usize = 8;

/// An open OSTree repository. Cheap to share between threads; holds no lock by itself.
#[derive(Debug)]
pub struct Repo {
    dir: Dir,
    objects: Dir,
    config: RepoConfig,
    parent: Option<Box<Repo>>,
    recent_dirtrees: RecentDirtrees,
    boot_id: String,
    owner: u32,
}

impl Repo {
    /// Opens the repository in `dir`.
    pub fn open(dir: Dir) -> Result<Repo> {
        Repo::open_nested(dir, PARENT_DEPTH)
    }

    /// As [`Repo::open`] for a repository that somebody else configured: one that names a parent
    /// is refused, since that may be any directory of this machine.
    pub fn open_alone(dir: Dir) -> Result<Repo> {
        Repo::open_nested(dir, 0)
    }

    fn open_nested(dir: Dir, depth: usize) -> Result<Repo> {
        let missing = |missing| RepoError::NotARepo { path: dir.path().to_path_buf(), missing };
        let Some(objects) = dir.open_dir_opt("objects")? else {
            return Err(missing("directory 'objects'"));
        };
        let Some(bytes) = dir.read_opt("config", CONFIG_LIMIT)? else {
            return Err(missing("file 'config'"));
        };
        let config = parse_config(&dir, &bytes)?;
        let parent = match &config.parent {
            None => None,
            Some(path) if depth > 0 => {
                let parent = dir.open_dir_following(path)?;
                Some(Box::new(Repo::open_nested(parent, depth - 1)?))
            }
            Some(path) => {
                return Err(RepoError::Refused(format!(
                    "the parent repository {path} is not looked into from here"
                )));
            }
        };
        let boot_id = NO_BOOT.to_string();
        let owner = dir.stat_self()?.uid;
        Ok(Repo {
            owner,
            dir,
            objects,
            config,
            parent,
            boot_id,
            recent_dirtrees: RecentDirtrees::default(),
        })
    }

    /// Makes a repository in the existing directory `dir`, as `ostree init`. One that is
    /// already there is left as it is and opened, whatever its mode.
    pub fn create(dir: Dir, mode: RepoMode, collection_id: Option<&str>) -> Result<Repo> {
        if dir.open_dir_opt("objects")?.is_none() {
            if !dir.exists("config")? {
                let text = RepoConfig::for_new(mode, collection_id);
                dir.write_durable("config", text.as_bytes(), 0o644)?;
            }
            for name in STATE_DIRS {
                dir.ensure_dir(name, DIR_MODE)?;
            }
        }
        Repo::open(dir)
    }

    /// Whether [`Repo::create`] would make anything in `dir`: not where a repository is.
    ///
    /// # Errors
    /// What is there could not be opened.
    pub fn would_create(dir: &Dir) -> Result<bool> {
        if dir.open_dir_opt("objects")?.is_some() {
            return Repo::open(dir.try_clone()?).map(|_| false);
        }
        if let Some(bytes) = dir.read_opt("config", CONFIG_LIMIT)? {
            parse_config(dir, &bytes)?;
        }
        Ok(true)
    }

    /// The directory of the repository.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The account that all work on this repository is counted in.
    pub fn fs(&self) -> &Fs {
        self.dir.fs()
    }

    /// The path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory `objects`.
    pub fn objects(&self) -> &Dir {
        &self.objects
    }

    /// The settings.
    pub fn config(&self) -> &RepoConfig {
        &self.config
    }

    /// How content objects are stored.
    pub fn mode(&self) -> RepoMode {
        self.config.mode
    }

    /// The user the directory belongs to.
    pub(crate) fn owner(&self) -> u32 {
        self.owner
    }

    pub(crate) fn recent_dirtrees(&self) -> &RecentDirtrees {
        &self.recent_dirtrees
    }

    /// The repository to look in for what this one lacks (`core.parent`).
    pub fn parent(&self) -> Option<&Repo> {
        self.parent.as_deref()
    }

    /// Has this handle look in `parent` too for what the repository and its parents lack, whatever
    /// `core.parent` says: to see what would be there after a pull.
    pub fn look_also_in(&mut self, parent: Repo) {
        match &mut self.parent {
            Some(nearer) => nearer.look_also_in(parent),
            None => self.parent = Some(Box::new(parent)),
        }
    }

    /// Switches syncing off or on for this handle, whatever `core.fsync` says.
    pub fn set_fsync(&mut self, on: bool) {
        self.config.fsync = on;
    }

    /// Tells which boot of the machine this is: staging directories are named after it, so that
    /// those which an earlier boot left behind can be told, by libostree too.
    pub fn set_boot_id(&mut self, id: impl Into<String>) {
        self.boot_id = id.into();
    }

    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Replaces the file `config` in one durable step and acts on it from now on. A text that
    /// could not be opened again is refused and nothing is written.
    pub fn write_config(&mut self, key_file: KeyFile) -> Result<()> {
        let text = key_file.to_string();
        let config = parse_config(&self.dir, text.as_bytes())?;
        self.replace_file(&self.dir, "config", text.as_bytes(), true)?;
        self.config = config;
        Ok(())
    }

    /// Refuses settings that [`Repo::write_config`] would refuse.
    pub fn check_config(&self, key_file: &KeyFile) -> Result<()> {
        parse_config(&self.dir, key_file.to_string().as_bytes()).map(drop)
    }

    /// Sets the modification time of the repository directory to now: libostree does so when
    /// refs change, and clients of a served repository look at it.
    pub fn touch(&self) -> Result<()> {
        Ok(self.dir.touch()?)
    }
}

fn parse_config(dir: &Dir, bytes: &[u8]) -> Result<RepoConfig> {
    let text = std::str::from_utf8(bytes).map_err(|_| RepoError::Setting {
        key: "core",
        problem: format!("{} is not UTF-8", dir.path().join("config").display()),
    })?;
    let key_file = KeyFile::parse(text)
        .map_err(|source| RepoError::Config { path: dir.path().to_path_buf(), source })?;
    RepoConfig::from_key_file(key_file)
}
