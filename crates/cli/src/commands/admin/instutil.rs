//! `admin instutil`: verbs for installers.

use std::path::Path;

use clap::{Args, Subcommand};
use trefoil_format::kargs::KernelArgs;
use trefoil_sysroot::boot::{grub2_config, read_entries};

use super::engine::EngineArgs;
use super::target::{Target, no_deployment};
use crate::environment;
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
    Grub2Generate(Grub2GenerateArgs),
    /// Relabel all or part of a deployment
    SelinuxEnsureLabeled(EnsureLabeledArgs),
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
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `admin instutil grub2-generate`.
#[derive(Args, Debug)]
pub struct Grub2GenerateArgs {
    /// Which set of entries, 0 or 1 (default: the active one)
    #[arg(value_name = "BOOTVERSION")]
    arguments: Vec<String>,
}

/// Arguments of `admin instutil selinux-ensure-labeled`.
#[derive(Args, Debug)]
pub struct EnsureLabeledArgs {
    /// Label SUBPATH as if it were PREFIX
    #[arg(value_name = "SUBPATH PREFIX")]
    _arguments: Vec<String>,
}

/// Runs `admin instutil`.
pub fn run(args: InstutilArgs, target: &Target<'_>) -> Result<()> {
    match args.verb {
        None => Err(CliError::usage("No \"instutil\" subcommand specified")),
        Some(InstutilVerb::SetKargs(args)) => set_kargs(args, target),
        Some(InstutilVerb::Grub2Generate(args)) => grub2_generate(args, target),
        Some(InstutilVerb::SelinuxEnsureLabeled(_)) => ensure_labeled(target),
    }
}

/// Gives the default deployment other kernel arguments.
fn set_kargs(args: SetKargsArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
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
    let plan = sysroot.plan_set_kargs(0, &kargs)?;
    let Some(lock) = lock else { return target.cx.ui.text(sysroot.preview_list(plan)?) };
    let report = sysroot.apply_list(&lock, plan, &EngineArgs::default().builder())?;
    target.announce(report.swap.message())
}

/// Prints what a script of grub2-mkconfig puts into `grub.cfg`.
fn grub2_generate(args: Grub2GenerateArgs, target: &Target<'_>) -> Result<()> {
    let sysroot = target.open()?;
    let version = args
        .arguments
        .into_iter()
        .next()
        .or_else(|| environment::text("_OSTREE_GRUB2_BOOTVERSION"));
    let major = match version.as_deref() {
        None => sysroot.boot_version().major,
        Some("0") => 0,
        Some("1") => 1,
        Some(other) => return Err(CliError::failed(format!("Invalid bootversion: {other}"))),
    };
    let needed = |name: &str| {
        let text = format!("{name} is not set: this is for scripts of grub2-mkconfig");
        environment::text(name).ok_or_else(|| CliError::failed(text))
    };
    let (device, prepare) = (needed("GRUB2_BOOT_DEVICE_ID")?, needed("GRUB2_PREPARE_ROOT_CACHE")?);
    let entries = read_entries(sysroot.boot()?, major)?;
    let entries = entries.iter().map(|read| &read.entry);
    target.cx.ui.text(grub2_config(entries, &device, &prepare)?)
}

/// There is no policy to label by, or we cannot read it.
fn ensure_labeled(target: &Target<'_>) -> Result<()> {
    let sysroot = target.open()?;
    let first = sysroot.deployments().first().ok_or_else(no_deployment)?;
    let dir = sysroot.dir().open_dir(first.path())?;
    for etc in ["etc", "usr/etc"] {
        if dir.exists(format!("{etc}/selinux/config"))? {
            return Err(CliError::not_yet("labelling by the SELinux policy of a deployment"));
        }
    }
    let path = std::path::absolute(target.path())?.join(first.path());
    let text = format!("No SELinux policy found in deployment '{}'", path.display());
    target.cx.ui.line(text)
}

/// The arguments of the running kernel.
pub fn proc_cmdline() -> Result<String> {
    user_files::read(Path::new("/proc/cmdline"))
}
