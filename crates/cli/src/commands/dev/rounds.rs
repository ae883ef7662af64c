//! From what is committed here and what machines report, to one timeline for each round.
//!
//! All points in time are those of this machine: clocks of others are not compared with ours,
//! only how long their steps took is taken from them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use trefoil_serve::{Apply, Report, State};

use super::timeline::{Outcome, Timeline};

/// Rounds that reports may still come for.
const OPEN: usize = 64;
/// Machines of a round, and reports that may come before we know of their commit.
const MACHINES: usize = 64;
const EARLY: usize = 64;

/// The part of a round that happens here.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The commit.
    pub commit: String,
    /// How many entries differ from the one before.
    pub changed: u64,
    /// When the first edit was seen.
    pub seen: Instant,
    /// When the tree had come to rest.
    pub settled: Instant,
    /// When the ref named the commit.
    pub done: Instant,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A round came to its end on a machine.
    Timeline(Timeline),
    /// It goes on.
    Words(String),
}

/// All rounds that may still go on.
#[derive(Debug, Default)]
pub struct Rounds {
    count: u64,
    open: VecDeque<Round>,
    early: VecDeque<(Report, Instant)>,
}

#[derive(Debug)]
struct Round {
    number: u64,
    committed: Committed,
    machines: BTreeMap<String, Machine>,
    /// Whether there was a timeline of it.
    told: bool,
}

#[derive(Debug, Default)]
struct Machine {
    deployed: Option<Marks>,
    closed: bool,
}

/// Ends of phases on a machine.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    pulled: Option<Instant>,
    deployed: Option<Instant>,
    booted: Option<Instant>,
}

impl Rounds {
    /// Begins a round.
    pub fn committed(&mut self, committed: Committed) -> Vec<Told> {
        self.count += 1;
        let commit = committed.commit.clone();
        let (number, machines) = (self.count, BTreeMap::new());
        self.open.push_back(Round { number, committed, machines, told: false });
        let mut told = Vec::new();
        while self.open.len() > OPEN {
            let round = self.open.pop_front().filter(|round| !round.told);
            told.extend(round.map(|round| round.unheard(Outcome::Superseded)));
        }
        let (now, later) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|(report, _): &(Report, Instant)| report.commit == commit);
        self.early = later;
        let now: VecDeque<_> = now;
        told.extend(now.into_iter().flat_map(|(report, at)| self.report(report, at)));
        told
    }

    /// Takes a report that came at `at`.
    pub fn report(&mut self, report: Report, at: Instant) -> Vec<Told> {
        let found = self.open.iter().rposition(|round| round.committed.commit == report.commit);
        let Some(index) = found else {
            if self.early.len() == EARLY {
                self.early.pop_front();
            }
            self.early.push_back((report, at));
            return Vec::new();
        };
        let Some(told) = self.open[index].take(&report, at) else { return Vec::new() };
        let mut all = Vec::new();
        for round in self.open.iter_mut().take(index).filter(|round| !round.told) {
            round.told = true;
            all.push(round.unheard(Outcome::Superseded));
        }
        all.push(told);
        all
    }

    /// Ends all rounds.
    pub fn end(self) -> Vec<Told> {
        let rest = self.open.into_iter().filter(|round| !round.told);
        rest.map(|round| round.unheard(Outcome::Unfinished)).collect()
    }
}

impl Round {
    /// Notes a report; `None` where it is no news.
    fn take(&mut self, report: &Report, at: Instant) -> Option<Told> {
        let done = self.committed.done;
        let at = at.max(done);
        if self.machines.len() == MACHINES && !self.machines.contains_key(&report.machine) {
            return None;
        }
        let machine = self.machines.entry(report.machine.clone()).or_default();
        if machine.closed {
            return None;
        }
        let so_far = machine.deployed.unwrap_or_default();
        let (marks, outcome) = match report.state {
            State::Deployed if machine.deployed.is_some() => return None,
            State::Deployed => {
                let marks = Marks::deployed(done, at, report);
                machine.deployed = Some(marks);
                if report.apply != Apply::None {
                    let (name, number) = (&report.machine, self.number);
                    return Some(Told::Words(format!(
                        "round {number} on {name}: deployed, booting"
                    )));
                }
                (marks, Outcome::Deployed)
            }
            State::Booted => (Marks { booted: Some(at), ..so_far }, Outcome::Booted),
            State::Failed if so_far.deployed.is_some() => {
                (Marks { booted: Some(at), ..so_far }, Outcome::Failed)
            }
            State::Failed => (Marks::failed(done, at, report), Outcome::Failed),
        };
        // Who failed may try again.
        machine.closed = outcome != Outcome::Failed;
        self.told = true;
        let error = report.error.clone();
        Some(Told::Timeline(self.timeline(Some(&report.machine), outcome, marks, error)))
    }

    /// The timeline of a round that no machine finished, as far as one came.
    fn unheard(&self, outcome: Outcome) -> Told {
        let furthest = self.machines.iter().find_map(|(name, m)| Some((name, m.deployed?)));
        let (machine, marks) = furthest.map_or((None, Marks::default()), |(n, m)| (Some(n), m));
        Told::Timeline(self.timeline(machine.map(String::as_str), outcome, marks, None))
    }

    fn timeline(
        &self,
        machine: Option<&str>,
        outcome: Outcome,
        marks: Marks,
        error: Option<String>,
    ) -> Timeline {
        let Committed { commit, changed, seen, settled, done } = &self.committed;
        // Whole milliseconds since the beginning: their differences add up, whatever is cut off.
        let since = |mark: Instant| {
            u64::try_from(mark.saturating_duration_since(*seen).as_millis()).unwrap_or(u64::MAX)
        };
        let mut last = 0;
        let mut phase = |mark: Instant| {
            let now = since(mark).max(last);
            now - std::mem::replace(&mut last, now)
        };
        Timeline {
            round: self.number,
            commit: commit.clone(),
            changed: *changed,
            machine: machine.map(str::to_string),
            outcome,
            settled_ms: phase(*settled),
            committed_ms: phase(*done),
            pulled_ms: marks.pulled.map(&mut phase),
            deployed_ms: marks.deployed.map(&mut phase),
            booted_ms: marks.booted.map(&mut phase),
            total_ms: last,
            error,
        }
    }
}

impl Marks {
    /// The machine says how long it deployed; what was before that is the pull, telling it
    /// included.
    fn deployed(done: Instant, at: Instant, report: &Report) -> Marks {
        let pulled = report
            .deployed_ms
            .map(|ms| at.checked_sub(Duration::from_millis(ms)).unwrap_or(done).max(done));
        Marks { pulled, deployed: Some(at), booted: None }
    }

    /// A deploy that failed is told by how long the pull before it took.
    fn failed(done: Instant, at: Instant, report: &Report) -> Marks {
        match report.pulled_ms {
            None => Marks { pulled: Some(at), ..Marks::default() },
            Some(ms) => {
                let pulled = done.checked_add(Duration::from_millis(ms)).unwrap_or(at).min(at);
                Marks { pulled: Some(pulled), deployed: Some(at), booted: None }
            }
        }
    }
}

#[cfg(test)]
mod tests;
