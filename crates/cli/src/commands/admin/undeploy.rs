//! `admin undeploy`: takes a deployment off the list.

use clap::Args;

use super::engine::EngineArgs;
use super::target::{Target, index_argument};
use crate::error::Result;

/// Arguments of `admin undeploy`.
#[derive(Args, Debug)]
pub struct UndeployArgs {
    /// Position in the list of `admin status`
    #[arg(value_name = "INDEX")]
    arguments: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin undeploy`.
pub fn run(args: UndeployArgs, target: &Target<'_>) -> Result<()> {
    let index = index_argument(&args.arguments)?;
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let plan = sysroot.plan_undeploy(index)?;
    let Some(lock) = lock else { return target.cx.ui.text(sysroot.preview_list(plan)?) };
    let report = sysroot.apply_list(&lock, plan, &args.engine.builder())?;
    target.announce(report.swap.message())?;
    target.cx.ui.line(format_args!("Deleted deployment {}", report.deployment.name()))?;
    target.say_freed(report.cleanup.pruned)
}
