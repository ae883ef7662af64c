//! What one run of a program costs, as the kernel accounts for it.

use std::path::Path;
use std::process::Command;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

use crate::commands::lab::peer::{run, settle};
use crate::error::Result;
use crate::user_files;

/// One measured run.
#[derive(Copy, Clone, Debug, Serialize)]
pub struct Sample {
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds of processor time, user and system together.
    pub cpu: f64,
    /// Bytes it caused to be written to the disk; `None` where the kernel does not tell.
    pub written: Option<u64>,
}

/// Runs the command after everything before it has reached the disk.
pub fn measure(command: Command) -> Result<Sample> {
    settle()?;
    let (cpu, written) = (children_cpu()?, written_bytes());
    let ran = run(command)?;
    let written = written_bytes().zip(written).map(|(after, before)| after - before);
    Ok(Sample { wall: ran.seconds, cpu: children_cpu()? - cpu, written })
}

/// Processor time of all children that have ended, in seconds.
fn children_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(micros as f64 / 1e6)
}

/// Bytes this process and its ended children caused to be written.
fn written_bytes() -> Option<u64> {
    let text = user_files::read(Path::new("/proc/self/io")).ok()?;
    text.lines().find_map(|l| l.strip_prefix("write_bytes: "))?.parse().ok()
}

/// System calls of the command and its children, counted by `strace`; `None` without it.
pub fn system_calls(command: &Command, scratch: &Path) -> Result<Option<u64>> {
    if Command::new("strace").arg("-V").output().is_err() {
        return Ok(None);
    }
    let summary = scratch.join("strace.out");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-c", "-o"]).arg(&summary);
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    run(traced)?;
    let text = user_files::read(&summary)?;
    user_files::remove(&summary)?;
    Ok(Some(sum_calls(&text)))
}

/// The sum of the column of calls; the line of totals differs between versions of strace.
fn sum_calls(text: &str) -> u64 {
    let calls = |line: &str| -> Option<u64> {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let is_row = cells.len() >= 5 && cells[0].parse::<f64>().is_ok();
        if is_row && cells.last() != Some(&"total") { cells[3].parse().ok() } else { None }
    };
    text.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    /// Guards reading the summary, with and without errors in a row.
    #[test]
    fn calls_are_summed() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                     50.00    0.000100           1       100         5 openat\n\
                     50.00    0.000100           1        23           close\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.000200           1       123         5 total\n";
        assert_eq!(super::sum_calls(text), 123);
    }
}
