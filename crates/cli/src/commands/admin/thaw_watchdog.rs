//! `admin thaw-watchdog`: the process that outlives one that froze `/boot`.

use std::time::Duration;

use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use trefoil_fsat::watch;

use super::target::Target;
use crate::error::Result;

/// As long as libostree waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for a rehearsal.
const REHEARSAL: Duration = Duration::from_secs(1);

/// Arguments of `admin thaw-watchdog`.
#[derive(Args, Debug)]
pub struct ThawWatchdogArgs {
    /// Wait for a second only, and tell that it ran
    #[arg(long)]
    rehearse: bool,
}

/// Runs `admin thaw-watchdog`.
pub fn run(args: ThawWatchdogArgs, target: &Target<'_>) -> Result<()> {
    let mut held = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|s| held.add(s));
    held.thread_block()?;
    let tried = watch(if args.rehearse { REHEARSAL } else { PATIENCE })?;
    if args.rehearse && tried {
        target.cx.ui.words("fifreeze watchdog was run")?;
    }
    Ok(())
}
