//! Making the tree of a deployment writable, by an overlay over the running `/usr`.

use trefoil_fsat::{Dir, Overlay};

use crate::deploy::{DeployOptions, TreeBuilder};
use crate::error::During;
use crate::{Account, Deployment, Result, Sysroot, SysrootError, SysrootLock, Unlocked, origin};

/// In the tree itself, where the initramfs looks for them.
const HOTFIX: (&str, &str) = (".usr-ovl-upper", ".usr-ovl-work");
/// Below the backing directory of the deployment.
const TRANSIENT: &str = "usr-transient";

impl Sysroot {
    /// Makes `/usr` of the booted deployment writable, as `ostree admin unlock`: until the next
    /// boot, or for good ([`Unlocked::Hotfix`]), for which an untouched copy of the deployment
    /// is made first, to go back to. The tree is never recycled from then on.
    ///
    /// # Errors
    /// Nothing is booted; it is unlocked already; the kernel refuses the overlay.
    pub fn unlock(
        &mut self,
        lock: &SysrootLock,
        how: Unlocked,
        builder: &dyn TreeBuilder,
        account: &mut Account<'_>,
    ) -> Result<()> {
        let booted = self.require_locked_booted()?;
        if how == Unlocked::Hotfix {
            self.push_copy(lock, &booted, builder, account)?;
        }
        builder.distrust(self, &booted.stateroot, &booted.name())?;
        let tree = self.dir().open_dir(booted.path())?;
        tree.set_immutable(false)?;
        match how {
            Unlocked::None => return Err(SysrootError::Refused("Cannot lock again".into())),
            Unlocked::Hotfix => self.unlock_for_good(lock, &tree)?,
            Unlocked::Development | Unlocked::Transient => {
                self.unlock_until_boot(&booted, &tree, how)?;
            }
        }
        self.touch()?;
        self.reload()
    }

    fn require_locked_booted(&self) -> Result<Deployment> {
        let Some(booted) = self.booted() else {
            return Err(SysrootError::Refused("Not currently booted into an OSTree system".into()));
        };
        match booted.unlocked {
            Unlocked::None => Ok(booted.clone()),
            how => Err(SysrootError::Refused(format!(
                "Deployment is already in unlocked state: {}",
                how.word()
            ))),
        }
    }

    /// The same commit again, behind the booted deployment.
    fn push_copy(
        &mut self,
        lock: &SysrootLock,
        booted: &Deployment,
        builder: &dyn TreeBuilder,
        account: &mut Account<'_>,
    ) -> Result<()> {
        let options = DeployOptions {
            stateroot: Some(booted.stateroot.clone()),
            origin: booted.origin.clone(),
            not_as_default: true,
            ..DeployOptions::new(&booted.checksum.to_hex())
        };
        let plan = self.plan_deploy(&options, builder)?;
        self.apply_deploy(lock, plan, builder, account).map(drop)
    }

    /// The origin is what counts; the empty directories alone give an empty overlay.
    fn unlock_for_good(&mut self, lock: &SysrootLock, tree: &Dir) -> Result<()> {
        let (upper, work) = HOTFIX;
        self.mount(tree, tree, upper, work, false)?;
        let Some(booted) = self.booted() else { return Ok(()) };
        let (index, mut origin) = (booted.index, booted.origin.clone().unwrap_or_default());
        origin::set_hotfix(&mut origin);
        self.write_origin(lock, index, &origin)
    }

    fn unlock_until_boot(&self, booted: &Deployment, tree: &Dir, how: Unlocked) -> Result<()> {
        let backing = format!("{}/{TRANSIENT}", booted.backing_path());
        self.dir().ensure_dirs(booted.backing_path(), 0o700)?;
        // What leaked from an earlier boot must not come back.
        self.dir().remove_all(&backing)?;
        make_dir(self.dir(), &backing, mode_of_usr(tree)?)?;
        let backing = self.dir().open_dir(&backing)?;
        self.mount(tree, &backing, "upper", "work", how == Unlocked::Transient)?;
        let run = self.ensure_run()?;
        let flags = format!("deployment-state/{}", booted.name());
        run.ensure_dirs(&flags, 0o755)?;
        Ok(run.open_dir(&flags)?.write(&format!("unlocked-{}", how.word()), b"", 0o644)?)
    }

    /// Mounts `usr` of `tree` with what lies in `at` over it.
    fn mount(&self, tree: &Dir, at: &Dir, upper: &str, work: &str, read_only: bool) -> Result<()> {
        let step = || "Failed overlayfs mount".to_string();
        let Some(booted) = &self.options().booted else { return Ok(()) };
        let mode = mode_of_usr(tree)?;
        make_dir(at, upper, mode)?;
        make_dir(at, work, mode)?;
        let overlay = Overlay {
            lower: &tree.open_dir("usr")?,
            upper: &at.open_dir(upper)?,
            work: &at.open_dir(work)?,
            read_only,
        };
        overlay.mount(&booted.usr).during(step)
    }
}

fn mode_of_usr(tree: &Dir) -> Result<u32> {
    Ok(tree.stat("usr")?.mode & 0o7777)
}

/// With exactly that mode, whatever the umask.
fn make_dir(parent: &Dir, name: &str, mode: u32) -> Result<()> {
    parent.ensure_dir(name, mode)?;
    Ok(parent.open_dir(name)?.set_mode(mode)?)
}
