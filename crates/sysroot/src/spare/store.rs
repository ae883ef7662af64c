use trefoil_format::checksum::Checksum;
use trefoil_format::name::RefName;
use trefoil_fsat::{Dir, FileKind};
use trefoil_repo::Repo;

use super::seal::SealLog;
use crate::{Result, Sysroot};

/// Where state of ours lies below `ostree/`.
const BASE: &str = "trefoil";
const WORK: &str = "work";
const SPARE_DIRS: &str = "spare.dirs";

/// The state kept for one stateroot.
#[derive(Debug)]
pub(super) struct Store {
    dir: Dir,
    stateroot: String,
}

/// A sealed spare, known by its name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub name: String,
    pub commit: Checksum,
    pub ino: u64,
}

impl Sealed {
    fn new(commit: &Checksum, ino: u64) -> Sealed {
        Sealed { name: format!("spare.{commit}.{ino}"), commit: *commit, ino }
    }

    fn parse(name: &str) -> Option<Sealed> {
        let (commit, ino) = name.strip_prefix("spare.")?.split_once('.')?;
        Some(Sealed::new(&Checksum::from_hex(commit).ok()?, ino.parse().ok()?))
            .filter(|sealed| sealed.name == name)
    }
}

impl Store {
    /// Opens the state of a stateroot, `None` if there is none yet.
    pub fn open(sysroot: &Sysroot, stateroot: &str) -> Result<Option<Store>> {
        let dir = sysroot.ostree().open_dir_opt(format!("{BASE}/{stateroot}"))?;
        Ok(dir.map(|dir| Store { dir, stateroot: stateroot.to_string() }))
    }

    /// As [`Store::open`], made as needed.
    pub fn create(sysroot: &Sysroot, stateroot: &str) -> Result<Store> {
        if let Some(store) = Store::open(sysroot, stateroot)? {
            return Ok(store);
        }
        sysroot.ostree().ensure_dirs(format!("{BASE}/{stateroot}"), 0o700)?;
        let dir = sysroot.ostree().open_dir(format!("{BASE}/{stateroot}"))?;
        Ok(Store { dir, stateroot: stateroot.to_string() })
    }

    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// All sealed spares. More than one is left only by a crash.
    pub fn spares(&self) -> Result<Vec<Sealed>> {
        let names = self.dir.sorted_entries()?;
        let dirs = names.iter().filter(|entry| entry.kind == FileKind::Directory);
        Ok(dirs.filter_map(|entry| Sealed::parse(entry.name.to_str()?)).collect())
    }

    /// Whether an interrupted run left a tree.
    pub fn has_work(&self) -> Result<bool> {
        Ok(self.dir.exists(WORK)?)
    }

    /// Throws away what an interrupted run left; true if there was anything.
    pub fn discard_work(&self) -> Result<bool> {
        let Some(work) = self.dir.open_dir_opt(WORK)? else { return Ok(false) };
        work.set_immutable(false)?;
        self.dir.remove_all(WORK)?;
        Ok(true)
    }

    /// Makes the tree of a spare the work tree. Durable: from here on no crash can let it pass
    /// for a spare again.
    pub fn begin_work(&self, spare: &Sealed) -> Result<Dir> {
        self.dir.rename(&spare.name, &self.dir, WORK)?;
        self.dir.sync()?;
        Ok(self.dir.open_dir(WORK)?)
    }

    pub const fn work_name(&self) -> &'static str {
        WORK
    }

    /// Moves the work tree to its place among the deployments, and the seal with it.
    pub fn place(&self, deploy: &Dir, name: &str, from_spare: bool) -> Result<()> {
        if from_spare {
            self.dir.rename(SPARE_DIRS, &self.dir, seal_name(name))?;
        }
        Ok(self.dir.rename(WORK, deploy, name)?)
    }

    /// The seal of the spare.
    pub fn spare_seal(&self) -> SealLog<'_> {
        SealLog::new(&self.dir, SPARE_DIRS)
    }

    /// The seal of a deployment.
    pub fn seal_of(&self, deployment: &str) -> SealLog<'_> {
        SealLog::new(&self.dir, seal_name(deployment))
    }

    /// Forgets the seal of a deployment that is about to be made anew or is gone.
    pub fn forget(&self, deployment: &str) -> Result<()> {
        self.dir.unlink_opt(seal_name(deployment))?;
        Ok(())
    }

    /// Whether the deployment has a seal.
    pub fn has_seal(&self, deployment: &str) -> Result<bool> {
        Ok(self.dir.exists(seal_name(deployment))?)
    }

    /// Takes a deployment's tree as the spare; its seal first, so that a tree never passes for
    /// a spare with another's seal. The spare before it is thrown away.
    pub fn adopt(
        &self,
        repo: &Repo,
        deploy: &Dir,
        name: &str,
        commit: &Checksum,
        ino: u64,
    ) -> Result<()> {
        for old in self.spares()? {
            self.drop_spare(repo, &old)?;
        }
        self.set_ref(repo, Some(commit))?;
        self.dir.rename(seal_name(name), &self.dir, SPARE_DIRS)?;
        Ok(deploy.rename(name, &self.dir, Sealed::new(commit, ino).name)?)
    }

    /// Makes the work tree the spare.
    pub fn adopt_work(&self, repo: &Repo, commit: &Checksum, ino: u64) -> Result<()> {
        self.set_ref(repo, Some(commit))?;
        Ok(self.dir.rename(WORK, &self.dir, Sealed::new(commit, ino).name)?)
    }

    /// Throws a spare away.
    pub fn drop_spare(&self, repo: &Repo, spare: &Sealed) -> Result<()> {
        self.dir.unlink_opt(SPARE_DIRS)?;
        self.dir.remove_all(&spare.name)?;
        self.forget_commit(repo)
    }

    /// Lets the commit of a spare go that is no more.
    pub fn forget_commit(&self, repo: &Repo) -> Result<()> {
        self.dir.unlink_opt(SPARE_DIRS)?;
        self.set_ref(repo, None)
    }

    /// Keeps the spare's commit from being pruned: its directories are what the next deploy
    /// compares with. Only a hint: without it the next deploy is a full one.
    fn set_ref(&self, repo: &Repo, commit: Option<&Checksum>) -> Result<()> {
        match RefName::new(&format!("trefoil/spare/{}", self.stateroot)) {
            Ok(name) => Ok(repo.set_hint_ref(&name, commit)?),
            // A stateroot whose name is no ref has its spares unprotected.
            Err(_) => Ok(()),
        }
    }
}

fn seal_name(deployment: &str) -> String {
    format!("dirs.{deployment}")
}
