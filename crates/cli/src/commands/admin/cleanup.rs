//! `admin cleanup`: deletes what no deployment needs.

use clap::Args;
use trefoil_sysroot::CleanupOptions;

use super::engine::EngineArgs;
use super::target::Target;
use crate::error::Result;

/// Arguments of `admin cleanup`.
#[derive(Args, Debug)]
pub struct CleanupArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin cleanup`.
pub fn run(args: CleanupArgs, target: &Target<'_>) -> Result<()> {
    if args.dry_run {
        let sysroot = target.open()?;
        target.cx.ui.text(sysroot.leftovers()?)?;
        let (objects, bytes) = sysroot.unneeded_objects()?;
        let size = crate::size::words(bytes);
        return target.cx.ui.line(format_args!("would free: {objects} objects, {size}"));
    }
    let (mut sysroot, lock) = target.open_locked()?;
    let builder = args.engine.builder();
    let report = sysroot.cleanup(&lock, &builder, CleanupOptions { prune: true })?;
    for name in &report.deleted {
        target.cx.ui.debug(format_args!("deleted {name}"))?;
    }
    for name in &report.kept {
        target.cx.ui.debug(format_args!("kept {name} as the spare"))?;
    }
    target.say_freed(report.pruned)
}
