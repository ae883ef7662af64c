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
}

/// Runs `admin rollback`.
pub fn run(args: RollbackArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_locked()?;
    let builder = EngineArgs::default().builder();
    let report = sysroot.rollback(&lock, args.os.as_deref(), &builder)?;
    target.announce(report.swap.message())?;
    let (stateroot, name) = (&report.deployment.stateroot, report.deployment.name());
    target.cx.ui.line(format_args!("{stateroot}/{name} is the default now"))?;
    target.say_freed(report.cleanup.pruned)
}
