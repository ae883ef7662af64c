//! The service that finishes staged deployments at shutdown.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::context::Context;
use crate::error::{CliError, Result};

/// Their stop job is `admin finalize-staged`: libostree's, and ours where that is not installed.
const SERVICES: [&str; 2] = ["ostree-finalize-staged.service", "trefoil-finalize-staged.service"];

/// Sees to it that the service runs, so that shutdown stops it.
pub fn start(cx: &Context) -> Result<()> {
    if !Path::new("/run/systemd/system").is_dir() {
        let text = "systemd is not running: 'admin finalize-staged' has to be run before the \
                    machine goes down";
        return cx.ui.words(text);
    }
    let start = |service: &str| {
        Command::new("systemctl")
            .args(["start", "--quiet", service])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
    };
    let [theirs, ours] = SERVICES;
    let status = start(theirs)?;
    if status.success() || start(ours)?.success() {
        return Ok(());
    }
    // Theirs is the one that is installed nearly everywhere.
    Err(CliError::failed(format!("Failed to start {theirs}: systemctl ended with {status}")))
}
