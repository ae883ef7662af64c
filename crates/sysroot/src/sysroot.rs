use std::path::{Path, PathBuf};
use std::time::Duration;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, Fs};
use trefoil_repo::Repo;

use crate::boot::{BootPrograms, BootSettings, BootVersion};
use crate::staged::StagedState;
use crate::{Deployment, Result, SysrootError, SysrootLock};

mod load;

/// How often the list is read where names in it are gone: each time it would have to be replaced
/// meanwhile.
const TRIES: u32 = 4;

/// What the caller knows of the running system.
#[derive(Clone, Debug)]
pub struct Booted {
    /// Device and inode of the booted deployment's directory: of `/`, or what
    /// `/run/ostree-booted` names where `/` is an overlay.
    pub root: (u64, u64),
    /// Where the running system has its `/var`.
    pub var: PathBuf,
    /// Where it has its `/usr`, over which an unlocked tree is mounted.
    pub usr: PathBuf,
}

/// How a sysroot is opened.
#[derive(Clone, Debug, Default)]
pub struct SysrootOptions {
    /// Set where the sysroot is the one the machine runs from.
    pub booted: Option<Booted>,
    /// Device and inode of `/`, whose deployment is never deleted.
    pub running_root: Option<(u64, u64)>,
    /// Directory of flags for this boot, `/run/ostree`.
    pub run_dir: Option<PathBuf>,
    /// Debug: deployments get no immutable bit.
    pub mutable_deployments: bool,
    /// Debug: device trees of a tree are not looked for.
    pub no_dtb: bool,
    /// Debug: the merge of `/etc` copies no extended attributes.
    pub no_xattrs: bool,
    /// Entries are named `ostree-N-STATEROOT.conf`, as before libostree 2024.5.
    pub bootloader_naming_1: bool,
    /// Somebody else wrote the sysroot, one in a disk image: no link in it is followed, to
    /// `ostree`, `boot` or the repository, and no parent of the repository is looked into.
    pub confined: bool,
    /// Which boot of the machine this is, for [`trefoil_repo::Repo::set_boot_id`].
    pub boot_id: Option<String>,
    /// The programs that writing boot entries may call.
    pub programs: BootPrograms,
}

/// An open sysroot and the list of deployments as it was when loaded.
#[derive(Debug)]
pub struct Sysroot {
    dir: Dir,
    ostree: Dir,
    boot: Option<Dir>,
    repo: Repo,
    options: SysrootOptions,
    settings: BootSettings,
    version: BootVersion,
    is_running_root: bool,
    deployments: Vec<Deployment>,
    booted: Option<usize>,
    staged: Option<StagedState>,
}

impl Sysroot {
    /// Opens the sysroot at `path` and loads its deployments. Takes no lock.
    ///
    /// # Errors
    /// No sysroot there; links or entries in a form that libostree does not write; the
    /// repository on another file system than its deployments; `boot` on FAT; with
    /// [`SysrootOptions::confined`] a way out of it.
    pub fn open(fs: &Fs, path: impl AsRef<Path>, options: SysrootOptions) -> Result<Sysroot> {
        let mut sysroot = Sysroot::open_unread(fs, path.as_ref(), options)?;
        sysroot.reload()?;
        Ok(sysroot)
    }

    /// Opens the sysroot and takes its lock, waiting up to `timeout`: as [`Sysroot::open`] and
    /// [`Sysroot::lock`], but reads the deployments once.
    ///
    /// # Errors
    /// Those of both.
    pub fn open_locked(
        fs: &Fs,
        path: impl AsRef<Path>,
        options: SysrootOptions,
        timeout: Duration,
    ) -> Result<(Sysroot, SysrootLock)> {
        let mut sysroot = Sysroot::open_unread(fs, path.as_ref(), options)?;
        let lock = sysroot.lock(timeout)?;
        Ok((sysroot, lock))
    }

    /// Loads boot version and deployments anew.
    ///
    /// Readers take no lock. One that comes while the list is replaced may look for what was
    /// just removed: it looks again.
    pub fn reload(&mut self) -> Result<()> {
        for _ in 1..TRIES {
            match self.load() {
                Err(e) if e.is_not_found() => {}
                loaded => return loaded,
            }
        }
        self.load()
    }

    /// What is left to do for the staged deployment.
    pub(crate) fn staged_state(&self) -> Option<&StagedState> {
        self.staged.as_ref()
    }

    /// Takes the sysroot lock, waiting up to `timeout`, and reloads: others may have changed
    /// the list meanwhile.
    ///
    /// # Errors
    /// Another process keeps the lock; a read-only file system.
    pub fn lock(&mut self, timeout: Duration) -> Result<SysrootLock> {
        if self.ostree.space()?.read_only {
            return Err(SysrootError::ReadOnly { path: self.ostree.path().to_path_buf() });
        }
        let lock = SysrootLock::take(&self.ostree, timeout)?;
        self.reload()?;
        Ok(lock)
    }

    /// The deployments: the staged one, if there is one, then those with boot entries, the
    /// default one first.
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// The deployment at `index` in boot order.
    pub fn deployment(&self, index: usize) -> Result<&Deployment> {
        let count = self.deployments.len();
        self.deployments.get(index).ok_or(SysrootError::NoDeployment { index, count })
    }

    /// The deployment the machine runs from.
    pub fn booted(&self) -> Option<&Deployment> {
        self.booted.and_then(|index| self.deployments.get(index))
    }

    /// The first deployment before the booted one, and the first after it, in `stateroot`.
    /// Where nothing is booted every deployment counts as before it.
    pub fn pending_and_rollback(
        &self,
        stateroot: &str,
    ) -> (Option<&Deployment>, Option<&Deployment>) {
        let split = self.booted.filter(|at| self.deployments[*at].stateroot == stateroot);
        let ours = |d: &&Deployment| d.stateroot == stateroot;
        match split {
            None => (self.deployments.iter().find(ours), None),
            Some(at) => (
                self.deployments[..at].iter().find(ours),
                self.deployments[at + 1..].iter().find(ours),
            ),
        }
    }

    /// The deployment whose `/etc` and kernel arguments the next one in `stateroot` takes
    /// over: the booted one, else the first.
    pub fn merge_deployment(&self, stateroot: &str) -> Option<&Deployment> {
        match self.booted() {
            Some(booted) if booted.stateroot == stateroot => Some(booted),
            _ => self.pending_and_rollback(stateroot).0,
        }
    }

    /// The stateroot meant where none is named: the booted one.
    pub fn stateroot_or_booted(&self, name: Option<&str>) -> Result<String> {
        match (name, self.booted()) {
            (Some(name), _) => Ok(name.to_string()),
            (None, Some(booted)) => Ok(booted.stateroot.clone()),
            (None, None) => Err(SysrootError::Refused(
                "Not currently booted into an OSTree system and no --os= argument given".into(),
            )),
        }
    }

    /// The `version` in the metadata of a commit; `None` also where the commit is not there.
    pub fn commit_version(&self, commit: &Checksum) -> Option<String> {
        let commit = self.repo.load_commit(commit).ok()?;
        commit.metadata.get_str("version").map(str::to_string)
    }

    /// The account all work is counted in.
    pub fn fs(&self) -> &Fs {
        self.dir.fs()
    }

    /// Whether it was opened as the root of the running system.
    pub fn is_running_root(&self) -> bool {
        self.is_running_root
    }

    /// The directory that `ostree` lies in: the root of the sysroot, but `/sysroot` on a running
    /// system.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The directory `ostree`.
    pub fn ostree(&self) -> &Dir {
        &self.ostree
    }

    /// The directory `boot`, which may lie on a file system of its own.
    pub fn boot(&self) -> Result<&Dir> {
        self.boot.as_ref().ok_or_else(|| {
            SysrootError::State(format!("{} has no directory boot", self.dir.path().display()))
        })
    }

    /// The repository `ostree/repo`.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// As [`Repo::look_also_in`], for its repository.
    pub(crate) fn look_also_in(&mut self, source: Repo) {
        self.repo.look_also_in(source);
    }

    /// How it was opened.
    pub fn options(&self) -> &SysrootOptions {
        &self.options
    }

    /// The settings of the boot process.
    pub fn settings(&self) -> &BootSettings {
        &self.settings
    }

    /// Which set of boot links is active.
    pub fn boot_version(&self) -> BootVersion {
        self.version
    }

    /// Sets the modification time of `ostree/deploy` to now, by which others see changes.
    pub(crate) fn touch(&self) -> Result<()> {
        Ok(self.ostree.open_dir("deploy")?.touch()?)
    }
}
