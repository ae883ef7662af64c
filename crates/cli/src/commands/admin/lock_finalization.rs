//! `admin lock-finalization`: whether the staged deployment is finished at shutdown.

use clap::Args;

use super::target::Target;
use crate::error::Result;

/// Arguments of `admin lock-finalization`.
#[derive(Args, Debug)]
pub struct LockFinalizationArgs {
    /// Unlock finalization
    #[arg(short, long)]
    unlock: bool,
}

/// Runs `admin lock-finalization`.
pub fn run(args: LockFinalizationArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_locked()?;
    let changed = sysroot.set_finalization_locked(&lock, !args.unlock)?;
    target.cx.ui.line(match (args.unlock, changed) {
        (true, true) => "Staged deployment is now queued to apply on shutdown",
        (true, false) => "Staged deployment is already prepared for finalization",
        (false, true) => "Staged deployment is now finalization locked",
        (false, false) => "Staged deployment is already finalization locked",
    })
}
