//! `admin boot-complete`: tells of a finalization that failed before the last boot.

use clap::Args;

use super::target::Target;
use crate::error::{CliError, Result};

/// Arguments of `admin boot-complete`.
#[derive(Args, Debug)]
pub struct BootCompleteArgs {}

/// Runs `admin boot-complete`. It fails once, so that the service does that people look at.
pub fn run(_: BootCompleteArgs, target: &Target<'_>) -> Result<()> {
    if !target.is_booted_system()? {
        return Ok(());
    }
    target.make_writable()?;
    let sysroot = target.open()?;
    let Some(text) = sysroot.finalization_failure()? else { return Ok(()) };
    sysroot.clear_finalization_failure()?;
    let what = "ostree-finalize-staged.service failed on previous boot";
    Err(CliError::failed(format!("{what}: {text}")))
}
