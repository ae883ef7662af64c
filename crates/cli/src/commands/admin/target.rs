//! The sysroot that a verb works on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use trefoil_format::gvariant::{Metadata, Value};
use trefoil_sysroot::{Booted, Sysroot, SysrootError, SysrootLock, SysrootOptions};

use super::programs;
use crate::context::Context;
use crate::environment;
use crate::error::{CliError, Context as _, Result};

/// Where the initramfs leaves what it knows of the booted deployment.
const BOOTED: &str = "ostree-booted";
/// Largest such file we read.
const BOOTED_LIMIT: u64 = 1 << 20;
const BACKING_ROOT: &str = "backing-root-device-inode";
/// What a running system may mount read-only.
const KEPT_READ_ONLY: [&str; 2] = ["/sysroot", "/boot"];
/// How long another process may hold the lock before we give up.
const LOCK_WAIT: Duration = Duration::from_secs(300);

/// Path of the sysroot, and the surroundings.
#[derive(Debug)]
pub struct Target<'a> {
    /// The streams and the account.
    pub cx: &'a Context,
    /// Root of the sysroot.
    pub path: PathBuf,
}

impl<'a> Target<'a> {
    /// The sysroot of `--sysroot`, else of `OSTREE_SYSROOT`, else the running system.
    pub fn new(cx: &'a Context, option: Option<PathBuf>) -> Target<'a> {
        let path = option.or_else(|| environment::path("OSTREE_SYSROOT"));
        Target { cx, path: path.unwrap_or_else(|| PathBuf::from("/")) }
    }

    /// Opens the sysroot without a lock, to read it.
    pub fn open(&self) -> Result<Sysroot> {
        Ok(Sysroot::open(&self.cx.fs, &self.path, self.options()?)?)
    }

    /// Opens the sysroot and takes its lock, waiting with a word where another process has it.
    pub fn open_locked(&self) -> Result<(Sysroot, SysrootLock)> {
        self.make_writable()?;
        let options = self.options()?;
        let open = |wait| Sysroot::open_locked(&self.cx.fs, &self.path, options.clone(), wait);
        let (sysroot, lock) = match open(Duration::ZERO) {
            Err(SysrootError::Locked { .. }) => {
                self.cx.ui.words("Waiting for sysroot lock...")?;
                open(LOCK_WAIT)?
            }
            other => other?,
        };
        self.warn_of_failure(&sysroot)?;
        Ok((sysroot, lock))
    }

    /// As [`Target::open_locked`], or for a dry run, which needs no lock, [`Target::open`].
    pub fn open_unless(&self, dry_run: bool) -> Result<(Sysroot, Option<SysrootLock>)> {
        if dry_run {
            return Ok((self.open()?, None));
        }
        let (sysroot, lock) = self.open_locked()?;
        Ok((sysroot, Some(lock)))
    }

    /// Says that the last finalization failed, until `boot-complete` took note of it.
    pub fn warn_of_failure(&self, sysroot: &Sysroot) -> Result<()> {
        match sysroot.finalization_failure()? {
            None => Ok(()),
            Some(text) => self.cx.ui.words(format_args!(
                "warning: finalizing the staged deployment failed, stage it again: {text}"
            )),
        }
    }

    /// Whether this is an OSTree system at all, running.
    pub fn is_booted_system(&self) -> Result<bool> {
        match self.cx.fs.open_dir("/run") {
            Ok(run) => Ok(run.exists(BOOTED)?),
            Err(_) => Ok(false),
        }
    }

    /// Where the running system keeps `/sysroot` or `/boot` read-only they become writable, for
    /// this process alone, as with libostree. To be called before anything in them is opened.
    pub fn make_writable(&self) -> Result<()> {
        let fs = &self.cx.fs;
        let root = fs.open_dir("/")?.stat_self()?.identity();
        if fs.effective_user() != 0 || self.booted(root)?.is_none() {
            return Ok(());
        }
        let read_only = |path: &&&str| -> bool {
            fs.open_dir(path).and_then(|dir| dir.space()).is_ok_and(|space| space.read_only)
        };
        let locked: Vec<&&str> = KEPT_READ_ONLY.iter().filter(read_only).collect();
        if !locked.is_empty() {
            fs.own_mounts()?;
        }
        locked.iter().try_for_each(|path| Ok(fs.remount_writable(Path::new(path))?))
    }

    /// How sysroots are opened here: by the environment, and by what runs.
    fn options(&self) -> Result<SysrootOptions> {
        let debug = |flag| environment::has_flag("OSTREE_SYSROOT_DEBUG", flag);
        let root = self.cx.fs.open_dir("/")?.stat_self()?.identity();
        Ok(SysrootOptions {
            confined: false,
            booted: self.booted(root)?,
            running_root: Some(root),
            run_dir: Some(PathBuf::from("/run/ostree")),
            mutable_deployments: debug("mutable-deployments"),
            no_dtb: debug("no-dtb"),
            no_xattrs: debug("no-xattrs"),
            bootloader_naming_1: environment::has_flag(
                "OSTREE_SYSROOT_OPTS",
                "bootloader-naming-1",
            ),
            boot_id: environment::boot_id(),
            programs: programs::of_system(debug("test-fifreeze")),
        })
    }

    /// The booted deployment, where the sysroot is the running system's.
    fn booted(&self, root: (u64, u64)) -> Result<Option<Booted>> {
        if self.cx.fs.open_dir(&self.path)?.stat_self()?.identity() != root {
            return Ok(None);
        }
        let Ok(run) = self.cx.fs.open_dir("/run") else { return Ok(None) };
        let Some(bytes) = run.read_opt(BOOTED, BOOTED_LIMIT)? else { return Ok(None) };
        let known = Metadata::parse(&bytes).context("failed to read /run/ostree-booted")?;
        let root = match known.get(BACKING_ROOT) {
            Some(Value::Tuple(pair)) => match pair.as_slice() {
                [Value::Uint64(device), Value::Uint64(inode)] => (*device, *inode),
                _ => root,
            },
            _ => root,
        };
        Ok(Some(Booted { root, var: PathBuf::from("/var"), usr: PathBuf::from("/usr") }))
    }

    /// Prints the directory of the deployment that boots next.
    pub fn print_current_dir(&self) -> Result<()> {
        let sysroot = self.open()?;
        let Some(first) = sysroot.deployments().first() else {
            return Err(no_deployment());
        };
        let path = std::path::absolute(&self.path)?.join(first.path());
        self.cx.ui.line(path.display())
    }

    /// The sysroot's path, to be opened by others.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Prints the line by which libostree announces a new list, where the list changed.
    pub fn announce(&self, message: Option<String>) -> Result<()> {
        message.map_or(Ok(()), |message| self.cx.ui.line(message))
    }

    /// Says how much a cleanup freed.
    pub fn say_freed(&self, pruned: (u64, u64)) -> Result<()> {
        match pruned {
            (_, 0) => Ok(()),
            (_, bytes) => {
                let freed = crate::size::words(bytes);
                self.cx.ui.words(format_args!("Freed objects: {freed}"))
            }
        }
    }
}

/// There is nothing to work on.
pub fn no_deployment() -> CliError {
    CliError::failed("Unable to find a deployment in sysroot")
}

/// Reads an index, as it stands in the list of `status`.
pub fn parse_index(text: &str) -> Result<usize> {
    match text.parse::<i64>() {
        Ok(index) => {
            usize::try_from(index).map_err(|_| CliError::failed(format!("Invalid index {index}")))
        }
        Err(_) => Err(CliError::failed(format!("Invalid index: {text}"))),
    }
}

/// The one word that is wanted as INDEX.
pub fn index_argument(arguments: &[String]) -> Result<usize> {
    match arguments {
        [] => Err(CliError::usage("INDEX must be specified")),
        [index] => parse_index(index),
        _ => Err(CliError::usage("Too many arguments given")),
    }
}
