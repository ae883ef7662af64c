//! Progress of long steps: a line on a terminal, JSON lines for programs, else nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use trefoil_fsat::{Counters, Fs};
use trefoil_repo::pull::PullProgress;

use crate::{size, ui};

/// Nothing is shown for steps shorter than this; then it is the time between two reports.
pub const INTERVAL: Duration = Duration::from_millis(250);

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
    #[serde(flatten)]
    pull: Option<PullReport>,
    done: bool,
}

/// What a pull over the network adds to a line.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct PullReport {
    objects_fetched: u64,
    /// Grows as directories come in and tell what they need.
    objects_requested: u64,
    bytes_received: u64,
    /// What will have been received in the end, as far as that is known; grows too.
    bytes_expected: Option<u64>,
    /// Bytes a second since the last line.
    bytes_per_second: u64,
    /// By the pace so far: of bytes where it is known how many are to come, else of objects.
    seconds_left: Option<u64>,
}

impl PullReport {
    fn read(
        progress: &PullProgress,
        last: &PullReport,
        interval: Duration,
        elapsed: Duration,
    ) -> PullReport {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        let bytes_received = load(&progress.bytes);
        let new = bytes_received.saturating_sub(last.bytes_received);
        let fetched = load(&progress.metadata_fetched) + load(&progress.content_fetched);
        let requested = load(&progress.metadata_requested) + load(&progress.content_requested);
        // What nobody told of came too: signatures, and objects in a commit without sizes.
        let expected = load(&progress.bytes_expected);
        let bytes_expected = (expected > 0).then_some(expected.max(bytes_received));
        let seconds_left = match bytes_expected {
            Some(expected) => left(elapsed, bytes_received, expected),
            None => left(elapsed, fetched, requested),
        };
        PullReport {
            objects_fetched: fetched,
            objects_requested: requested,
            bytes_received,
            bytes_expected,
            bytes_per_second: (new as f64 / interval.as_secs_f64().max(0.001)) as u64,
            seconds_left,
        }
    }

    /// As libostree's console has it, with the time that is left at this pace.
    fn words(&self) -> String {
        let (fetched, requested) = (self.objects_fetched, self.objects_requested.max(1));
        let percent = (fetched * 100 / requested).min(100);
        let mut text = format!("Receiving objects: {percent}% ({fetched}/{requested})");
        if self.bytes_per_second > 0 {
            text.push_str(&format!(" {}/s", size::words(self.bytes_per_second)));
        }
        text.push_str(&format!(" {}", size::words(self.bytes_received)));
        if let Some(left) = self.seconds_left.filter(|left| *left > 0) {
            text.push_str(&format!(", {left} s left"));
        }
        text
    }
}

/// The seconds that the rest takes at the pace so far; `None` before anything came.
fn left(elapsed: Duration, done: u64, all: u64) -> Option<u64> {
    let rest = all.saturating_sub(done) as f64;
    (done > 0).then(|| (elapsed.as_secs_f64() * rest / done as f64).ceil() as u64)
}

impl Progress {
    /// Starts to report on `task`.
    pub fn start(task: &'static str, fs: Fs, fd: Option<u32>) -> Progress {
        Progress::start_with(task, fs, fd, None, INTERVAL)
    }

    /// As [`Progress::start`], for a pull, and with another time between two reports.
    pub fn start_with(
        task: &'static str,
        fs: Fs,
        fd: Option<u32>,
        pull: Option<Arc<PullProgress>>,
        interval: Duration,
    ) -> Progress {
        let lines = fd.and_then(open_fd);
        if lines.is_none() && !ui::has_terminal() {
            return Progress { running: None };
        }
        let (stop, stopped) = mpsc::channel();
        let before = fs.counters();
        let handle = std::thread::spawn(move || {
            let started = Instant::now();
            let mut shown = Shown { lines, bar: None, pull, interval, last: PullReport::default() };
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
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
    pull: Option<Arc<PullProgress>>,
    interval: Duration,
    last: PullReport,
}

impl Shown {
    fn report(&mut self, task: &'static str, started: Instant, work: &Counters, done: bool) {
        let elapsed = started.elapsed();
        let read = |p: &Arc<PullProgress>| PullReport::read(p, &self.last, self.interval, elapsed);
        let pull = self.pull.as_ref().map(read);
        self.last = pull.unwrap_or_default();
        if let Some(file) = &mut self.lines {
            let report = Report {
                protocol: PROTOCOL,
                task,
                elapsed_ms: started.elapsed().as_millis(),
                bytes_read: work.bytes_read,
                bytes_written: work.bytes_written,
                operations: work.total(),
                pull,
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
            bar.set_message(match pull {
                Some(pull) => pull.words(),
                None => words(task, started.elapsed(), work),
            });
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

    /// Guards the time that is left: by bytes where their number is known, else by objects, and
    /// none before anything came.
    #[test]
    fn the_time_that_is_left() {
        let progress = PullProgress::default();
        let read = || {
            let elapsed = Duration::from_secs(10);
            PullReport::read(&progress, &PullReport::default(), INTERVAL, elapsed)
        };
        progress.content_requested.store(8, Relaxed);
        assert_eq!(read().seconds_left, None);
        progress.content_fetched.store(2, Relaxed);
        progress.bytes.store(1_000_000, Relaxed);
        assert_eq!((read().seconds_left, read().bytes_expected), (Some(30), None));
        progress.bytes_expected.store(1_500_000, Relaxed);
        assert_eq!((read().seconds_left, read().bytes_expected), (Some(5), Some(1_500_000)));
        assert_eq!(
            read().words(),
            "Receiving objects: 25% (2/8) 4.0\u{a0}MB/s 1.0\u{a0}MB, 5 s left"
        );
        progress.bytes.store(1_600_000, Relaxed);
        assert_eq!(read().seconds_left, Some(0));
    }

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
