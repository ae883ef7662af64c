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
}

/// Runs `admin set-default`.
pub fn run(args: SetDefaultArgs, target: &Target<'_>) -> Result<()> {
    let index = index_argument(&args.arguments)?;
    let (mut sysroot, lock) = target.open_locked()?;
    let report = sysroot.set_default(&lock, index, &EngineArgs::default().builder())?;
    target.announce(report.swap.message())?;
    target.say_freed(report.cleanup.pruned)
}
