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
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `admin lock-finalization`.
pub fn run(args: LockFinalizationArgs, target: &Target<'_>) -> Result<()> {
    let (mut sysroot, lock) = target.open_unless(args.dry_run)?;
    let Some(lock) = lock else {
        let changes = sysroot.would_lock_finalization(!args.unlock)?;
        let would = if changes { "would be" } else { "is already" };
        let what = if args.unlock { "queued to apply on shutdown" } else { "finalization locked" };
        return target.cx.ui.line(format_args!("Staged deployment {would} {what}"));
    };
    let changed = sysroot.set_finalization_locked(&lock, !args.unlock)?;
    target.cx.ui.line(match (args.unlock, changed) {
        (true, true) => "Staged deployment is now queued to apply on shutdown",
        (true, false) => "Staged deployment is already prepared for finalization",
        (false, true) => "Staged deployment is now finalization locked",
        (false, false) => "Staged deployment is already finalization locked",
    })
}
