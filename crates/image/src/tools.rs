//! The programs of the distribution that make and attach what has a format of its own.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

use crate::{ImageError, Result};

/// Programs and the packages Debian has them in.
const PACKAGES: [(&str, &str); 12] = [
    ("mount", "mount"),
    ("setpriv", "util-linux"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.fat", "dosfstools"),
    ("mmd", "mtools"),
    ("mcopy", "mtools"),
    ("qemu-img", "qemu-utils"),
    ("qemu-storage-daemon", "qemu-utils"),
    ("extlinux", "extlinux"),
    ("cp", "coreutils"),
];

/// A command that speaks English and reads nothing.
pub(crate) fn command(program: &'static str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a program to its end and gives its standard output.
pub(crate) fn run<S: AsRef<OsStr>>(
    program: &'static str,
    args: impl IntoIterator<Item = S>,
) -> Result<String> {
    let mut command = command(program);
    command.args(args);
    let output = command.output().map_err(|e| starting(program, &e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    let message = if said.is_empty() { output.status.to_string() } else { said };
    Err(ImageError::Program { command: words(&command), message })
}

/// Why a program could not be started.
pub(crate) fn starting(program: &'static str, error: &io::Error) -> ImageError {
    let package = PACKAGES.iter().find(|(name, _)| *name == program).map(|(_, package)| package);
    match (error.kind(), package) {
        (io::ErrorKind::NotFound, Some(package)) => ImageError::NoProgram { program, package },
        _ => ImageError::Program { command: program.to_string(), message: error.to_string() },
    }
}

fn words(command: &Command) -> String {
    let args = command.get_args().map(|a| a.to_string_lossy().into_owned());
    let program = command.get_program().to_string_lossy().into_owned();
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}
