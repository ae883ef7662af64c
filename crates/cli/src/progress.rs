//! Progress of long steps: a line on a terminal, JSON lines for programs, else nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use trefoil_fsat::{Counters, Fs};

use crate::{size, ui};

/// Nothing is shown for steps shorter than this; then it is the time between two reports.
const INTERVAL: Duration = Duration::from_millis(250);

/// Version of the JSON lines; grows when a field changes its meaning.
const PROTOCOL: u32 = 1;

/// Reports on a task until it is dropped. The numbers are the account of [`Fs`].
#[derive(Debug)]
pub struct Progress {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

/// One line on `--progress-fd`.
#[derive(Serialize)]
struct Report {
    protocol: u32,
    task: &'static str,
    elapsed_ms: u128,
    bytes_read: u64,
    bytes_written: u64,
    operations: u64,
    done: bool,
}

impl Progress {
    /// Starts to report on `task`.
    pub fn start(task: &'static str, fs: Fs, fd: Option<u32>) -> Progress {
        let lines = fd.and_then(open_fd);
        if lines.is_none() && !ui::has_terminal() {
            return Progress { running: None };
        }
        let (stop, stopped) = mpsc::channel();
        let before = fs.counters();
        let handle = std::thread::spawn(move || {
            let started = Instant::now();
            let mut shown = Shown { lines, bar: None };
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                shown.report(task, started, &fs.counters().since(&before), false);
            }
            shown.report(task, started, &fs.counters().since(&before), true);
        });
        Progress { running: Some((stop, handle)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, handle)) = self.running.take() {
            drop(stop);
            // A reporter that panicked has nothing left to say; the task itself is fine.
            let _ = handle.join();
        }
    }
}

/// Without `unsafe` a descriptor number becomes a file only by way of /proc.
fn open_fd(fd: u32) -> Option<File> {
    OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}")).ok()
}

struct Shown {
    lines: Option<File>,
    bar: Option<ProgressBar>,
}

impl Shown {
    fn report(&mut self, task: &'static str, started: Instant, work: &Counters, done: bool) {
        if let Some(file) = &mut self.lines {
            let report = Report {
                protocol: PROTOCOL,
                task,
                elapsed_ms: started.elapsed().as_millis(),
                bytes_read: work.bytes_read,
                bytes_written: work.bytes_written,
                operations: work.total(),
                done,
            };
            if let Ok(text) = serde_json::to_string(&report) {
                // A reader that went away does not stop the work.
                let _ = file.write_all(format!("{text}\n").as_bytes());
            }
        } else if done {
            self.bar.take().inspect(ProgressBar::finish_and_clear);
        } else {
            let bar = self.bar.get_or_insert_with(ProgressBar::new_spinner);
            bar.set_message(words(task, started.elapsed(), work));
            bar.tick();
        }
    }
}

/// What the line on a terminal says: bytes, and how many a second.
fn words(task: &str, elapsed: Duration, work: &Counters) -> String {
    let rate = |bytes: u64| {
        let a_second = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
        size::words(u64::try_from(a_second).unwrap_or(u64::MAX))
    };
    let (read, written) = (work.bytes_read, work.bytes_written);
    if read == 0 && written == 0 {
        return format!("{task}: {} operations", work.total());
    }
    format!(
        "{task}: {} read at {}/s, {} written at {}/s",
        size::words(read),
        rate(read),
        size::words(written),
        rate(written)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that the line on a terminal has bytes and their rate.
    #[test]
    fn the_line_has_bytes_and_rate() {
        let work = Counters { bytes_read: 3_000_000, bytes_written: 500, ..Default::default() };
        assert_eq!(
            words("commit", Duration::from_millis(1500), &work),
            "commit: 3.0\u{a0}MB read at 2.0\u{a0}MB/s, 500 bytes written at 333 bytes/s"
        );
        let walk = Counters { opens: 7, ..Default::default() };
        assert_eq!(words("prune", Duration::from_secs(1), &walk), "prune: 7 operations");
        words("commit", Duration::ZERO, &work);
    }
}
