//! Running programs.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use crate::Result;

/// Runs a program of the distribution, which has to succeed, and gives its standard output.
pub fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args);
    must(&mut command)
}

/// Runs a command, which has to succeed, and gives its standard output.
pub fn must(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failure(command, &output).into()),
    }
}

/// Runs a command, whatever comes of it.
pub fn output(command: &mut Command) -> Result<Output> {
    command.env("LC_ALL", "C").stdin(Stdio::null());
    let started = command.output();
    Ok(started.map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?)
}

/// What a command that failed was, and said.
pub fn failure(command: &Command, output: &Output) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let said = [&output.stderr[..], &output.stdout].map(String::from_utf8_lossy);
    let said = said.join("\n").trim().replace('\n', "; ");
    format!("`{}`: {}: {said}", words.join(" "), output.status)
}
