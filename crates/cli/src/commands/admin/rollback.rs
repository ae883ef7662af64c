//! `admin rollback`: puts the deployment before the running one first.

use clap::Args;

use super::engine::EngineArgs;
use super::target::Target;
use crate::error::Result;

/// Arguments of `admin rollback`.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "OSNAME", alias = "stateroot")]
    os: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin rollback`.
pub fn run(args: RollbackArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let plan = sysroot.plan_rollback(args.os.as_deref())?;
    let Some(lock) = lock else { return target.cx.ui.text(sysroot.preview_list(plan)?) };
    let report = sysroot.apply_list(&lock, plan, &EngineArgs::default().builder())?;
    target.announce(report.swap.message())?;
    let (stateroot, name) = (&report.deployment.stateroot, report.deployment.name());
    target.cx.ui.line(format_args!("{stateroot}/{name} is the default now"))?;
    target.say_freed(report.cleanup.pruned)
}
