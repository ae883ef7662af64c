//! `admin stateroot-init`, also known as `os-init`.

use clap::Args;
use trefoil_repo::RepoMode;
use trefoil_sysroot::{Epoch, init_fs, missing_of_fs};

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin stateroot-init`.
#[derive(Args, Debug)]
pub struct StaterootInitArgs {
    /// Name of the new stateroot
    #[arg(value_name = "STATEROOT")]
    arguments: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin stateroot-init`.
pub fn run(args: StaterootInitArgs, target: &Target<'_>) -> Result<()> {
    let name = match args.arguments.as_slice() {
        [] => return Err(CliError::usage("STATEROOT must be specified")),
        [name] => name,
        _ => return Err(CliError::usage("Too many arguments given")),
    };
    if args.dry_run {
        return dry_run(name, target);
    }
    let root = target.cx.fs.open_dir(target.path())?;
    if !root.exists("ostree/repo")? {
        init_fs(&root, Epoch::Modern, RepoMode::Bare)?;
    }
    let (mut sysroot, lock) = target.open_locked()?;
    sysroot.init_stateroot(&lock, name)?;
    target.cx.ui.line(format_args!("ostree/deploy/{name} initialized as OSTree stateroot"))
}

/// Where there is no sysroot yet, one would be made.
fn dry_run(name: &str, target: &Target<'_>) -> Result<()> {
    let root = target.cx.fs.open_dir(target.path())?;
    if root.exists("ostree/repo")? {
        target.open()?.check_new_stateroot(name)?;
    } else {
        for missing in missing_of_fs(&root, Epoch::Modern)? {
            target.cx.ui.line(format_args!("would make: {missing}"))?;
        }
    }
    target.cx.ui.line(format_args!("would make: ostree/deploy/{name}"))
}
