//! The real `ostree`, where it is installed.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::error::{CliError, Context as _, Result};

/// The installed `ostree`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its version, for example `2022.7`.
    pub version: String,
}

/// What a run of a program gave.
#[derive(Debug)]
pub struct Ran {
    /// Wall time in seconds, its start included.
    pub seconds: f64,
    /// Its standard output.
    pub output: String,
}

impl Peer {
    /// `None` where it is not installed.
    pub fn find() -> Option<Peer> {
        let output = Command::new("ostree").arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().find_map(|l| l.trim().strip_prefix("Version:"))?;
        // Somebody may have put us in its place; comparing us with ourselves proves nothing.
        if text.to_lowercase().contains("trefoil") {
            return None;
        }
        Some(Peer { version: version.trim().trim_matches('\'').to_string() })
    }

    /// The command with its surroundings, ready for arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new("ostree");
        command.env("OSTREE_SYSROOT_DEBUG", "mutable-deployments").env("LC_ALL", "C");
        command
    }

    /// Runs it; anything but success is an error.
    pub fn run(&self, args: &[&str]) -> Result<Ran> {
        let mut command = self.command();
        command.args(args);
        run(command)
    }

    /// `ostree admin deploy` of `rev` in the sysroot at `path`.
    pub fn deploy(&self, path: &Path, stateroot: &str, rev: &str) -> Result<Ran> {
        let sysroot = format!("--sysroot={}", path.display());
        self.run(&["admin", "deploy", &sysroot, &format!("--os={stateroot}"), rev])
    }
}

/// Runs a command to its end and takes the time.
pub fn run(mut command: Command) -> Result<Ran> {
    let what = format!("{command:?}");
    let started = Instant::now();
    let output = command.output().context(format!("starting {what}"))?;
    let seconds = started.elapsed().as_secs_f64();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(CliError::failed(format!("{what} failed: {}", error.trim())));
    }
    Ok(Ran { seconds, output: String::from_utf8_lossy(&output.stdout).into_owned() })
}

/// Waits until nothing is left to be written, so that nobody pays for what was before.
pub fn settle() -> Result<()> {
    run(Command::new("sync")).map(drop)
}
