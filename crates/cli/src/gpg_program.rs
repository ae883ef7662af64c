//! Signing by the program `gpg`: secret keys live with its agent, where no library reaches.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{CliError, Context as _, Result};

/// A detached signature of `data` by the secret key that `key_id` names.
///
/// # Errors
/// There is no `gpg`, no such key, or it cannot be used.
pub fn sign(data: &[u8], key_id: &str, homedir: Option<&Path>) -> Result<Vec<u8>> {
    let mut command = Command::new("gpg");
    command.args(["--batch", "--no-tty", "--quiet", "--no-armor"]);
    if let Some(homedir) = homedir {
        command.arg("--homedir").arg(homedir);
    }
    command.arg("--local-user").arg(key_id).args(["--detach-sign", "--output", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("running gpg")?;
    let mut input = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A gpg that finds no key ends without reading; what it says tells more than that.
        scope.spawn(move || input.as_mut().map(|pipe| pipe.write_all(data)));
        child.wait_with_output()
    });
    let output = output.context("running gpg")?;
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    let place = homedir.map_or("<default>".to_string(), |path| path.display().to_string());
    Err(CliError::failed(if said.contains("No secret key") {
        format!("No gpg key found with ID {key_id} (homedir: {place})")
    } else {
        format!("Failure signing with gpg key {key_id} (homedir: {place}): {said}")
    }))
}
