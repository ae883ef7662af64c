use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use trefoil_serve::Apply;

use crate::error::{CliError, Context as _, Result};

/// The words of `--apply`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum ApplyWord {
    /// The machine reboots
    Reboot,
    /// All but the kernel starts anew
    SoftReboot,
    /// Nothing: the next boot is of it
    #[default]
    None,
}

impl From<ApplyWord> for Apply {
    fn from(word: ApplyWord) -> Apply {
        match word {
            ApplyWord::Reboot => Apply::Reboot,
            ApplyWord::SoftReboot => Apply::SoftReboot,
            ApplyWord::None => Apply::None,
        }
    }
}

/// Has the deployment run that is first on the list. Returns once the machine is about to go
/// down.
///
/// A soft reboot goes to what is mounted at `/run/nextroot`. libostree 2025.3 and newer make
/// that of a deployment with a composefs image; we make neither, and without it the old system
/// would start again.
pub fn apply(how: Apply) -> Result<()> {
    match how {
        Apply::None => Ok(()),
        Apply::Reboot if Path::new("/run/systemd/system").is_dir() => run(&["systemctl", "reboot"]),
        Apply::Reboot => run(&["reboot"]),
        Apply::SoftReboot => {
            run(&["ostree", "admin", "prepare-soft-reboot", "0"]).map_err(|e| {
                CliError::Advised(
                    format!("preparing the soft reboot: {e}"),
                    "it needs libostree 2025.3 or newer and a deployment with a composefs image, \
                     which trefoil does not make; '--apply=reboot' works with any",
                )
            })?;
            run(&["systemctl", "soft-reboot"])
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let shown = words.join(" ");
    let status = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .context(format!("running '{shown}'"))?;
    match status.success() {
        true => Ok(()),
        false => Err(CliError::failed(format!("'{shown}' ended with {status}"))),
    }
}
