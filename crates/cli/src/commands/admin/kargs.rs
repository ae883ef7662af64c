//! `admin kargs`: changes to kernel arguments.

use clap::{Args, Subcommand};

use super::target::{Target, no_deployment};
use crate::error::{CliError, Result};

/// Arguments of `admin kargs`.
#[derive(Args, Debug)]
pub struct KargsArgs {
    #[command(subcommand)]
    verb: Option<KargsVerb>,
}

#[derive(Subcommand, Debug)]
enum KargsVerb {
    /// Set new kernel command line
    EditInPlace(EditInPlaceArgs),
}

/// Arguments of `admin kargs edit-in-place`.
#[derive(Args, Debug)]
pub struct EditInPlaceArgs {
    /// Append kernel arguments if they do not exist
    #[arg(long, value_name = "NAME=VALUE")]
    append_if_missing: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin kargs`.
pub fn run(args: KargsArgs, target: &Target<'_>) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"kargs\" subcommand specified")),
        Some(KargsVerb::EditInPlace(args)) => edit_in_place(args, target),
    }
}

/// Changes the entry of every deployment.
fn edit_in_place(args: EditInPlaceArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    if sysroot.deployments().is_empty() {
        return Err(no_deployment());
    }
    for index in 0..sysroot.deployments().len() {
        let mut kargs = sysroot.deployment(index)?.kargs();
        args.append_if_missing.iter().for_each(|arg| kargs.append_if_missing(arg));
        match &lock {
            Some(lock) => sysroot.set_kargs_in_place(lock, index, &kargs)?,
            None => target.cx.ui.line(format_args!("would set: {index} {kargs}"))?,
        }
    }
    Ok(())
}
