//! `admin thaw-watchdog`: the process that outlives one that froze `/boot`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use trefoil_fsat::watch;

use super::target::Target;
use crate::error::Result;
use crate::ui::Ui;

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

/// Runs the watchdog where `args` are just those it is started with, before anything else is
/// made ready: a deploy waits for it, and the definition of all verbs takes milliseconds.
pub fn run_early(args: &[OsString]) -> Option<ExitCode> {
    match args {
        [_, admin, verb] if admin == "admin" && verb == "thaw-watchdog" => {}
        _ => return None,
    }
    let done = hold_signals().and_then(|()| Ok(watch(PATIENCE)?));
    Some(match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads it, the exit code is what is left to tell.
            let _ = Ui::default().words(format_args!("error: watchdog of the freeze: {error}"));
            ExitCode::FAILURE
        }
    })
}

fn hold_signals() -> Result<()> {
    let mut held = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|s| held.add(s));
    Ok(held.thread_block()?)
}

/// Runs `admin thaw-watchdog`.
pub fn run(args: ThawWatchdogArgs, target: &Target<'_>) -> Result<()> {
    hold_signals()?;
    let tried = watch(if args.rehearse { REHEARSAL } else { PATIENCE })?;
    if args.rehearse && tried {
        target.cx.ui.words("fifreeze watchdog was run")?;
    }
    Ok(())
}
