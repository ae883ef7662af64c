//! `admin finalize-staged`: finishes what is staged, at shutdown.

use clap::Args;
use nix::unistd::pause;
use trefoil_sysroot::{Finalized, Sysroot, SysrootLock};

use super::engine::EngineArgs;
use super::target::Target;
use crate::error::Result;

/// Arguments of `admin finalize-staged`.
#[derive(Args, Debug)]
pub struct FinalizeStagedArgs {
    /// Hold /boot open during finalization
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs `admin finalize-staged`. Anywhere but on a running OSTree system there is nothing to do.
pub fn run(args: FinalizeStagedArgs, target: &Target<'_>) -> Result<()> {
    if !target.is_booted_system()? {
        return Ok(());
    }
    if args.hold {
        // An automounted /boot stays while this has it open; systemd ends us by a signal.
        let _held = target.open()?;
        pause();
        return Ok(());
    }
    let (mut sysroot, lock) = target.open_locked()?;
    let outcome = finalize(&args, &mut sysroot, &lock, target);
    match &outcome {
        Ok(()) => sysroot.clear_finalization_failure()?,
        Err(error) => {
            if let Err(e) = sysroot.record_finalization_failure(&error.to_string()) {
                let text = crate::error::chain_text(&e);
                target.cx.ui.words(format_args!("warning: the failure is not recorded: {text}"))?;
            }
        }
    }
    outcome
}

fn finalize(
    args: &FinalizeStagedArgs,
    sysroot: &mut Sysroot,
    lock: &SysrootLock,
    target: &Target<'_>,
) -> Result<()> {
    let ui = &target.cx.ui;
    let report = match sysroot.finalize_staged(lock, &args.engine.builder())? {
        Finalized::Nothing => return ui.words("No deployment staged for finalization"),
        Finalized::Locked => {
            return ui.words("Not finalizing; deployment is locked for finalization");
        }
        Finalized::Done(report) => report,
    };
    for conflict in &report.conflicts {
        ui.words(format_args!("warning: /etc/{conflict}"))?;
    }
    for skipped in &report.skipped {
        ui.words(format_args!("warning: /etc/{skipped}"))?;
    }
    target.announce(report.message)
}
