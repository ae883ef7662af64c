//! `admin stateroot-init`, also known as `os-init`.

use clap::Args;
use trefoil_repo::RepoMode;
use trefoil_sysroot::{Epoch, init_fs};

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin stateroot-init`.
#[derive(Args, Debug)]
pub struct StaterootInitArgs {
    /// Name of the new stateroot
    #[arg(value_name = "STATEROOT")]
    arguments: Vec<String>,
}

/// Runs `admin stateroot-init`.
pub fn run(args: StaterootInitArgs, target: &Target<'_>) -> Result<()> {
    let name = match args.arguments.as_slice() {
        [] => return Err(CliError::usage("STATEROOT must be specified")),
        [name] => name,
        _ => return Err(CliError::usage("Too many arguments given")),
    };
    let root = target.cx.fs.open_dir(target.path())?;
    if !root.exists("ostree/repo")? {
        init_fs(&root, Epoch::Modern, RepoMode::Bare)?;
    }
    let (mut sysroot, lock) = target.open_locked()?;
    sysroot.init_stateroot(&lock, name)?;
    target.cx.ui.line(format_args!("ostree/deploy/{name} initialized as OSTree stateroot"))
}
