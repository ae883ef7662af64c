//! `admin init-fs`: makes a sysroot.

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::RepoMode;
use trefoil_sysroot::{Epoch, init_fs, missing_of_fs};

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin init-fs`.
#[derive(Args, Debug)]
pub struct InitFsArgs {
    /// Directory that becomes the sysroot
    #[arg(value_name = "PATH")]
    arguments: Vec<PathBuf>,
    /// Only create /boot and /ostree
    #[arg(long)]
    modern: bool,
    /// An integer value, defines initial state.  Must be in the range [0-2], inclusive.
    #[arg(short = 'E', long, value_name = "EPOCH", default_value_t = 0)]
    epoch: i64,
    /// Mode of the repository; bare-user lets ordinary users deploy
    #[arg(long, value_name = "MODE", default_value = "bare")]
    mode: String,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin init-fs`.
pub fn run(args: InitFsArgs, target: &Target<'_>) -> Result<()> {
    let path = match args.arguments.as_slice() {
        [] => return Err(CliError::usage("PATH must be specified")),
        [path] => path,
        _ => return Err(CliError::usage("Too many arguments given")),
    };
    let epoch = match Epoch::from_number(args.epoch)? {
        Epoch::Traditional if args.modern => Epoch::Modern,
        epoch => epoch,
    };
    let mode = RepoMode::from_word(&args.mode).ok_or_else(|| {
        CliError::failed(format!("Invalid mode '{}' in repository configuration", args.mode))
    })?;
    let root = target.cx.fs.open_dir(path)?;
    if args.dry_run {
        for name in missing_of_fs(&root, epoch)? {
            target.cx.ui.line(format_args!("would make: {name}"))?;
        }
        return Ok(());
    }
    Ok(init_fs(&root, epoch, mode)?)
}
