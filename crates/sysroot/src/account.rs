use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use trefoil_fsat::{Counters, Fs};

/// What one phase of a task took.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Seconds on the caller's clock.
    pub seconds: f64,
    /// Counted operations by kind, those that happened.
    pub operations: BTreeMap<&'static str, u64>,
    /// All counted operations together.
    pub total: u64,
    /// Bytes handed to `write` or copied inside the kernel.
    pub bytes_written: u64,
}

/// Splits the work counted by one [`Fs`] into phases.
pub struct Account<'a> {
    fs: Fs,
    clock: &'a dyn Fn() -> Duration,
    time: Duration,
    counters: Counters,
    phases: Vec<Phase>,
}

impl std::fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("phases", &self.phases).finish_non_exhaustive()
    }
}

impl<'a> Account<'a> {
    /// Starts the first phase. `clock` gives the time since any fixed moment.
    pub fn new(fs: &Fs, clock: &'a dyn Fn() -> Duration) -> Account<'a> {
        let (time, counters) = (clock(), fs.counters());
        Account { fs: fs.clone(), clock, time, counters, phases: Vec::new() }
    }

    /// Ends the running phase under this name and starts the next.
    pub fn end(&mut self, name: &'static str) {
        let (time, counters) = ((self.clock)(), self.fs.counters());
        let done = counters.since(&self.counters);
        self.phases.push(Phase {
            name,
            seconds: time.saturating_sub(self.time).as_secs_f64(),
            operations: done.nonzero().into_iter().collect(),
            total: done.total(),
            bytes_written: done.bytes_written,
        });
        (self.time, self.counters) = (time, counters);
    }

    /// The phases so far, in order.
    pub fn finish(self) -> Vec<Phase> {
        self.phases
    }
}
