//! `admin set-default`: puts a deployment first.

use clap::Args;

use super::engine::EngineArgs;
use super::target::{Target, index_argument};
use crate::error::Result;

/// Arguments of `admin set-default`.
#[derive(Args, Debug)]
pub struct SetDefaultArgs {
    /// Position in the list of `admin status`
    #[arg(value_name = "INDEX")]
    arguments: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin set-default`.
pub fn run(args: SetDefaultArgs, target: &Target<'_>) -> Result<()> {
    let index = index_argument(&args.arguments)?;
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let plan = sysroot.plan_set_default(index)?;
    let Some(lock) = lock else { return target.cx.ui.text(sysroot.preview_list(plan)?) };
    let report = sysroot.apply_list(&lock, plan, &EngineArgs::default().builder())?;
    target.announce(report.swap.message())?;
    target.say_freed(report.cleanup.pruned)
}
