//! Opening a sysroot, and reading its list of deployments.

use std::path::Path;

use trefoil_fsat::{Dir, Fs};
use trefoil_repo::Repo;

use super::{Sysroot, SysrootOptions};
use crate::boot::{BootLink, BootSettings, BootVersion, ReadEntry, read_entries};
use crate::deployment::parse_name;
use crate::error::During;
use crate::{Deployment, Result, SysrootError, Unlocked, origin};

impl Sysroot {
    pub(super) fn open_unread(fs: &Fs, path: &Path, options: SysrootOptions) -> Result<Sysroot> {
        let root = fs.open_dir(path)?;
        let open = |dir: &Dir, path: &str| match options.confined {
            true => dir.open_dir(path),
            false => dir.open_dir_following(path),
        };
        let ostree = open(&root, "ostree")?;
        let is_running_root = Some(root.stat_self()?.identity()) == options.running_root;
        let boot = if root.exists("boot")? { Some(open(&root, "boot")?) } else { None };
        if let Some(boot) = &boot {
            require_links(boot)?;
        }
        // On a running system `/ostree` leads to `/sysroot/ostree`: from there on no path
        // below passes a link.
        let dir = match root.read_link("ostree") {
            Ok(_) => ostree.open_dir_following("..")?,
            Err(_) => root,
        };
        let repo_dir = open(&dir, "ostree/repo").during(opening_repo)?;
        let (on, expected) = (repo_dir.stat_self()?.dev, ostree.stat_self()?.dev);
        if on != expected {
            return Err(SysrootError::State(format!(
                "ostree/ on device {expected} but ostree/repo on device {on}"
            )));
        }
        let mut repo = match options.confined {
            true => Repo::open_alone(repo_dir).during(opening_repo)?,
            false => Repo::open(repo_dir).during(opening_repo)?,
        };
        if let Some(id) = &options.boot_id {
            repo.set_boot_id(id.as_str());
        }
        let settings = BootSettings::from_config(&repo.config().key_file)?;
        let version = BootVersion::default();
        Ok(Sysroot {
            dir,
            ostree,
            boot,
            repo,
            options,
            settings,
            version,
            is_running_root,
            deployments: Vec::new(),
            booted: None,
            staged: None,
        })
    }

    pub(super) fn load(&mut self) -> Result<()> {
        self.version = BootVersion::read(self.boot.as_ref(), &self.ostree)?;
        self.deployments.clear();
        self.booted = None;
        self.staged = None;
        let Some(boot) = &self.boot else { return Ok(()) };
        let entries = read_entries(boot, self.version.major)?;
        let run_state = match self.open_run()? {
            Some(run) => run.open_dir_opt("deployment-state")?,
            None => None,
        };
        let mut loaded = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            loaded.push(self.load_deployment(entry, index, run_state.as_ref())?);
        }
        if let Some(info) = &self.options.booted {
            self.booted = loaded.iter().position(|d| d.identity == info.root);
            if self.booted.is_none() {
                return Err(SysrootError::State(
                    "/run/ostree-booted found and in / sysroot, but bootloader entry not found"
                        .into(),
                ));
            }
        }
        if let Some((staged, state)) = self.load_staged(&loaded)? {
            loaded.insert(0, staged);
            loaded.iter_mut().enumerate().for_each(|(index, d)| d.index = index);
            self.booted = self.booted.map(|at| at + 1);
            self.staged = Some(state);
        }
        self.deployments = loaded;
        Ok(())
    }

    fn load_deployment(
        &self,
        ReadEntry { name: entry_name, entry }: ReadEntry,
        index: usize,
        run_state: Option<&Dir>,
    ) -> Result<Deployment> {
        let link = BootLink::of_entry(&entry)?;
        let step =
            || format!("Parsing deployment /{} in stateroot '{}'", link.path(), link.stateroot);
        let target = self.dir.read_link(link.path()).during(step)?;
        let target = String::from_utf8_lossy(&target);
        let name = target.rsplit('/').next().unwrap_or("");
        let Some((checksum, serial)) = parse_name(name) else {
            let what = format!("Invalid deploy name '{name}', expected CHECKSUM.TREESERIAL");
            return Err(SysrootError::State(what)).during(step);
        };
        let mut deployment = Deployment {
            stateroot: link.stateroot.clone(),
            checksum,
            serial,
            bootcsum: link.bootcsum,
            bootserial: link.serial,
            origin: None,
            entry,
            entry_name,
            unlocked: Unlocked::None,
            staged: false,
            finalization_locked: false,
            identity: (0, 0),
            index,
        };
        deployment.identity = self.dir.stat(deployment.path()).during(step)?.identity();
        deployment.origin = origin::load(&self.dir, &deployment.origin_path())?;
        deployment.unlocked = unlocked(&deployment, run_state)?;
        Ok(deployment)
    }
}

/// Refuses a `/boot` on FAT before anything is looked at or written, as libostree does.
fn require_links(boot: &Dir) -> Result<()> {
    match boot.is_fat()? {
        true => Err(SysrootError::BootOnFat { path: boot.path().to_path_buf() }),
        false => Ok(()),
    }
}

fn opening_repo() -> String {
    "Opening sysroot repo".into()
}

fn unlocked(deployment: &Deployment, run_state: Option<&Dir>) -> Result<Unlocked> {
    if let Some(run_state) = run_state {
        let name = deployment.name();
        if run_state.exists(format!("{name}/unlocked-development"))? {
            return Ok(Unlocked::Development);
        }
        if run_state.exists(format!("{name}/unlocked-transient"))? {
            return Ok(Unlocked::Transient);
        }
    }
    let hotfix = deployment.origin.as_ref().is_some_and(origin::is_hotfix);
    Ok(if hotfix { Unlocked::Hotfix } else { Unlocked::None })
}
