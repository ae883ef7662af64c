//! `admin deploy`: makes a commit the next thing to boot.

use std::path::{Path, PathBuf};

use clap::Args;
use trefoil_format::keyfile::KeyFile;
use trefoil_sysroot::deploy::{DeployOptions, KargOptions, Retain};
use trefoil_sysroot::origin;

use super::engine::{Engine, EngineArgs, ReportArgs};
use super::instutil::proc_cmdline;
use super::target::Target;
use crate::error::{CliError, Result};
use crate::user_files;

/// Arguments of `admin deploy`.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// A ref, REMOTE:REF or checksum
    #[arg(value_name = "REFSPEC")]
    arguments: Vec<String>,
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME", overrides_with = "stateroot")]
    os: Option<String>,
    /// Target the provided stateroot
    #[arg(long, value_name = "STATEROOT")]
    stateroot: Option<String>,
    /// Specify origin file
    #[arg(long, value_name = "FILENAME")]
    origin_file: Option<PathBuf>,
    /// Don't prune the repo when done
    #[arg(long)]
    no_prune: bool,
    /// Do not apply configuration (/etc and kernel arguments) from booted deployment
    #[arg(long)]
    no_merge: bool,
    #[command(flatten)]
    retain: RetainArgs,
    /// Append rather than prepend new deployment
    #[arg(long)]
    not_as_default: bool,
    #[command(flatten)]
    kargs: DeployKargs,
    #[command(flatten)]
    stage: StageArgs,
    /// Print what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Args, Debug)]
struct RetainArgs {
    /// Do not delete previous deployments
    #[arg(long)]
    retain: bool,
    /// Do not delete pending deployments
    #[arg(long)]
    retain_pending: bool,
    /// Do not delete rollback deployments
    #[arg(long)]
    retain_rollback: bool,
}

#[derive(Args, Debug)]
struct DeployKargs {
    /// Import current /proc/cmdline
    #[arg(long)]
    karg_proc_cmdline: bool,
    /// Set kernel argument, like root=/dev/sda1; this overrides any earlier argument with the same name
    #[arg(long, value_name = "NAME=VALUE")]
    karg: Vec<String>,
    /// Append kernel argument; useful with e.g. console= that can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    karg_append: Vec<String>,
    /// Do not import kernel arguments
    #[arg(long)]
    karg_none: bool,
    /// Delete kernel argument if exists, can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    karg_delete: Vec<String>,
}

#[derive(Args, Debug)]
struct StageArgs {
    /// Complete deployment at OS shutdown
    #[arg(long)]
    stage: bool,
    /// Prevent automatic deployment finalization on shutdown
    #[arg(long)]
    lock_finalization: bool,
    #[arg(long, hide = true, value_name = "FILE")]
    overlay_initrd: Vec<PathBuf>,
}

/// Runs `admin deploy`.
pub fn run(args: DeployArgs, target: &Target<'_>) -> Result<()> {
    check(&args)?;
    let options = options(&args)?;
    let engine = Engine { target, engine: args.engine, report: args.report };
    if args.dry_run {
        let sysroot = target.open()?;
        return engine.dry_run(&sysroot, &options);
    }
    let (mut sysroot, lock) = target.open_locked()?;
    engine.deploy(&mut sysroot, &lock, &options)
}

impl DeployArgs {
    /// What will be listed is decided at shutdown, without these.
    fn can_be_staged(&self) -> bool {
        let RetainArgs { retain, retain_pending, retain_rollback } = self.retain;
        !(retain || retain_pending || retain_rollback || self.not_as_default)
    }
}

fn check(args: &DeployArgs) -> Result<()> {
    let kargs = &args.kargs;
    let problem = if args.arguments.is_empty() {
        "REF/REV must be specified"
    } else if args.arguments.len() > 1 {
        "Too many arguments given"
    } else if kargs.karg_proc_cmdline && kargs.karg_none {
        "Can't specify both --karg-proc-cmdline and --karg-none"
    } else if kargs.karg_none && !kargs.karg_delete.is_empty() {
        "Can't specify both --karg-none and --karg-delete"
    } else if args.no_merge && !kargs.karg_delete.is_empty() {
        "Can't specify both --no-merge and --karg-delete"
    } else if (args.stage.stage || args.stage.lock_finalization) && !args.can_be_staged() {
        return Err(CliError::failed(match args.not_as_default {
            true => "--stage cannot currently be combined with --not-as-default",
            false => "--stage cannot currently be combined with --retain arguments",
        }));
    } else if !args.stage.overlay_initrd.is_empty() {
        return Err(CliError::not_yet("'admin deploy --overlay-initrd'"));
    } else {
        return Ok(());
    };
    Err(CliError::usage(problem))
}

fn options(args: &DeployArgs) -> Result<DeployOptions> {
    let cmdline = args.kargs.karg_proc_cmdline.then(proc_cmdline).transpose()?;
    Ok(DeployOptions {
        stateroot: args.stateroot.clone().or_else(|| args.os.clone()),
        origin: args.origin_file.as_deref().map(read_origin).transpose()?,
        kargs: KargOptions {
            none: args.kargs.karg_none,
            proc_cmdline: cmdline,
            replace: args.kargs.karg.clone(),
            append: args.kargs.karg_append.clone(),
            append_if_missing: Vec::new(),
            delete: args.kargs.karg_delete.clone(),
        },
        no_merge: args.no_merge,
        retain: Retain {
            all: args.retain.retain,
            pending: args.retain.retain_pending,
            rollback: args.retain.retain_rollback,
        },
        not_as_default: args.not_as_default,
        stage: args.stage.stage || args.stage.lock_finalization,
        lock_finalization: args.stage.lock_finalization,
        no_prune: args.no_prune,
        ..DeployOptions::new(&args.arguments[0])
    })
}

fn read_origin(path: &Path) -> Result<KeyFile> {
    let text = user_files::read(path)?;
    Ok(origin::parse(&path.to_string_lossy(), text.as_bytes())?)
}
