//! `admin instutil`: verbs for installers.

use std::path::Path;

use clap::{Args, Subcommand};
use trefoil_format::kargs::KernelArgs;

use super::engine::EngineArgs;
use super::target::{Target, no_deployment};
use crate::commands::not_yet::{self, NotYetArgs};
use crate::error::{CliError, Result};
use crate::user_files;

/// Arguments of `admin instutil`.
#[derive(Args, Debug)]
pub struct InstutilArgs {
    #[command(subcommand)]
    verb: Option<InstutilVerb>,
}

#[derive(Subcommand, Debug)]
enum InstutilVerb {
    /// Set new kernel command line arguments(Not stable)
    SetKargs(SetKargsArgs),
    /// Generate GRUB2 configuration from given BLS entries
    #[command(hide = true)]
    Grub2Generate(NotYetArgs),
    /// Relabel all or part of a deployment
    #[command(hide = true)]
    SelinuxEnsureLabeled(NotYetArgs),
}

/// Arguments of `admin instutil set-kargs`.
#[derive(Args, Debug)]
pub struct SetKargsArgs {
    /// Arguments to append
    #[arg(value_name = "ARGS")]
    arguments: Vec<String>,
    /// Import current /proc/cmdline
    #[arg(long)]
    import_proc_cmdline: bool,
    /// Merge with previous command line
    #[arg(long)]
    merge: bool,
    /// Set kernel argument, like root=/dev/sda1; this overrides any earlier argument with the same name
    #[arg(long, value_name = "NAME=VALUE")]
    replace: Vec<String>,
    /// Append kernel argument; useful with e.g. console= that can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<String>,
}

/// Runs `admin instutil`.
pub fn run(args: InstutilArgs, target: &Target<'_>) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"instutil\" subcommand specified")),
        Some(InstutilVerb::SetKargs(args)) => set_kargs(args, target),
        Some(InstutilVerb::Grub2Generate(_)) => not_yet::run("admin instutil grub2-generate"),
        Some(InstutilVerb::SelinuxEnsureLabeled(_)) => {
            not_yet::run("admin instutil selinux-ensure-labeled")
        }
    }
}

/// Gives the default deployment other kernel arguments.
fn set_kargs(args: SetKargsArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_locked()?;
    let first = sysroot.deployments().first().ok_or_else(no_deployment)?;
    let mut kargs = KernelArgs::default();
    if args.import_proc_cmdline {
        kargs.append_proc_cmdline(&proc_cmdline()?);
    } else if args.merge {
        kargs = first.kargs();
    }
    args.replace.iter().for_each(|arg| kargs.replace_take(arg));
    kargs.append_all(&args.append);
    kargs.append_all(&args.arguments);
    let report = sysroot.set_kargs(&lock, 0, &kargs, &EngineArgs::default().builder())?;
    target.announce(report.swap.message())
}

/// The arguments of the running kernel.
pub fn proc_cmdline() -> Result<String> {
    user_files::read(Path::new("/proc/cmdline"))
}
