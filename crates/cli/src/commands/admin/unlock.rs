//! `admin unlock`: makes `/usr` of the running system writable.

use clap::Args;
use trefoil_sysroot::{Account, Unlocked};

use super::engine::{EngineArgs, clock};
use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin unlock`.
#[derive(Args, Debug)]
pub struct UnlockArgs {
    /// Retain changes across reboots
    #[arg(long)]
    hotfix: bool,
    /// Mount overlayfs read-only by default
    #[arg(long)]
    transient: bool,
    #[arg(hide = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs `admin unlock`.
pub fn run(args: UnlockArgs, target: &Target<'_>) -> Result<()> {
    if !args.arguments.is_empty() {
        return Err(CliError::usage("This command takes no extra arguments"));
    }
    let how = match (args.hotfix, args.transient) {
        (true, true) => {
            return Err(CliError::failed("Cannot specify both --hotfix and --transient"));
        }
        (true, false) => Unlocked::Hotfix,
        (false, true) => Unlocked::Transient,
        (false, false) => Unlocked::Development,
    };
    let (mut sysroot, lock) = target.open_locked()?;
    let clock = clock();
    let mut account = Account::new(&target.cx.fs, &clock);
    sysroot.unlock(&lock, how, &args.engine.builder(), &mut account)?;
    target.cx.ui.line(match how {
        Unlocked::Hotfix => {
            "Hotfix mode enabled.  A writable overlayfs is now mounted on /usr\n\
             for this booted deployment.  A non-hotfixed clone has been created\n\
             as the non-default rollback target."
        }
        Unlocked::Transient => {
            "A writable overlayfs is prepared for /usr, but is mounted read-only by default.\n\
             All changes there will be discarded on reboot."
        }
        _ => {
            "Development mode enabled.  A writable overlayfs is now mounted on /usr.\n\
             All changes there will be discarded on reboot."
        }
    })
}
