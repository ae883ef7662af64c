//! The service that finishes staged deployments at shutdown.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::context::Context;
use crate::error::{CliError, Result};

/// Its stop job is `admin finalize-staged`.
const SERVICE: &str = "ostree-finalize-staged.service";

/// Sees to it that the service runs, so that shutdown stops it.
pub fn start(cx: &Context) -> Result<()> {
    if !Path::new("/run/systemd/system").is_dir() {
        let text = "systemd is not running: 'admin finalize-staged' has to be run before the \
                    machine goes down";
        return cx.ui.words(text);
    }
    let status = Command::new("systemctl")
        .args(["start", "--quiet", SERVICE])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(CliError::failed(format!("Failed to start {SERVICE}: systemctl ended with {status}")))
    }
}
