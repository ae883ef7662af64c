//! From what is committed here and what machines report, to one timeline for each round.
//!
//! All points in time are those of this machine: clocks of others are not compared with ours,
//! only how long their steps took is taken from them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;
use trefoil_serve::{Apply, Report, State};

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

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The machine boots it next.
    Deployed,
    /// The machine runs it.
    Booted,
    /// The machine could not; it may try again.
    Failed,
    /// A later round was taken in its place.
    Superseded,
    /// Nothing more was heard of it.
    Unfinished,
}

/// One round on one machine. The phases follow each other: those that are there add up to the
/// total. Of a failure, the last phase is the one that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Counts the commits, from 1.
    pub round: u64,
    /// The commit.
    pub commit: String,
    /// How many entries differ from the one before.
    pub changed: u64,
    /// The machine, where one was heard of.
    pub machine: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// From the first edit until the tree had come to rest.
    pub settled_ms: u64,
    /// From there until the ref named the commit.
    pub committed_ms: u64,
    /// From there until the machine had heard of it and had it all.
    pub pulled_ms: Option<u64>,
    /// From there until we heard that the next boot is of it.
    pub deployed_ms: Option<u64>,
    /// From there until we heard that it runs.
    pub booted_ms: Option<u64>,
    /// From the first edit to the end.
    pub total_ms: u64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Timeline {
    /// The line for people.
    pub fn line(&self) -> String {
        let phases = [
            ("settled", Some(self.settled_ms)),
            ("committed", Some(self.committed_ms)),
            ("pulled", self.pulled_ms),
            ("deployed", self.deployed_ms),
            ("booted", self.booted_ms),
        ];
        let phases = phases.iter().filter_map(|(name, ms)| Some(format!("{name} {}", (*ms)?)));
        let phases: Vec<String> = phases.collect();
        let (commit, changed) = (&self.commit[..12.min(self.commit.len())], self.changed);
        let machine = self.machine.as_deref().map(|m| format!(" on {m}")).unwrap_or_default();
        let end = match self.outcome {
            Outcome::Deployed | Outcome::Booted => String::new(),
            Outcome::Failed => {
                let error = self.error.as_deref().unwrap_or_default().escape_debug();
                format!("; FAILED: {error}")
            }
            Outcome::Superseded => "; not deployed: a later round was".to_string(),
            Outcome::Unfinished => "; nothing more was heard".to_string(),
        };
        format!(
            "round {}{machine}: {commit}, {changed} changed: edit seen, {} = {} ms{end}",
            self.round,
            phases.join(" + "),
            self.total_ms
        )
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn committed(start: Instant, commit: &str) -> Committed {
        let after = |ms| start + Duration::from_millis(ms);
        let commit = commit.to_string();
        Committed { commit, changed: 1, seen: start, settled: after(200), done: after(240) }
    }

    fn report(commit: &str, machine: &str, state: State) -> Report {
        Report {
            name: "main".to_string(),
            commit: commit.to_string(),
            machine: machine.to_string(),
            state,
            apply: Apply::None,
            pulled_ms: Some(50),
            deployed_ms: Some(100),
            booted_ms: None,
            error: None,
        }
    }

    fn timelines(told: Vec<Told>) -> Vec<Timeline> {
        let timeline = |told| match told {
            Told::Timeline(timeline) => Some(timeline),
            Told::Words(_) => None,
        };
        told.into_iter().filter_map(timeline).collect()
    }

    fn sum(timeline: &Timeline) -> u64 {
        let Timeline { settled_ms, committed_ms, pulled_ms, deployed_ms, booted_ms, .. } = timeline;
        let later = [pulled_ms, deployed_ms, booted_ms];
        settled_ms + committed_ms + later.iter().map(|ms| ms.unwrap_or(0)).sum::<u64>()
    }

    /// Guards the phases of a round, with a report that came before we knew of the commit.
    #[test]
    fn phases_follow_each_other() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        for early in [false, true] {
            let mut rounds = Rounds::default();
            let mut told = Vec::new();
            let deployed = report("a", "vm", State::Deployed);
            if early {
                assert_eq!(rounds.report(deployed.clone(), after(500)), []);
            }
            told.extend(rounds.committed(committed(start, "a")));
            if !early {
                told.extend(rounds.report(deployed.clone(), after(500)));
            }
            let told = timelines(told);
            let [timeline] = told.as_slice() else { panic!("{told:?}") };
            assert_eq!(
                timeline.line(),
                "round 1 on vm: a, 1 changed: edit seen, settled 200 + committed 40 + pulled 160 \
                 + deployed 100 = 500 ms"
            );
            assert_eq!(rounds.report(deployed, after(600)), [], "sent again");
            assert_eq!(rounds.end(), []);
        }
    }

    /// Guards a reboot: one timeline, at its end, and nothing from a service that was restarted.
    #[test]
    fn a_reboot_is_waited_for() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut rounds = Rounds::default();
        rounds.committed(committed(start, "a"));
        let deployed = Report { apply: Apply::Reboot, ..report("a", "vm", State::Deployed) };
        let told = rounds.report(deployed.clone(), after(500));
        assert_eq!(told, [Told::Words("round 1 on vm: deployed, booting".to_string())]);
        assert_eq!(rounds.report(report("old", "vm", State::Booted), after(600)), []);
        let booted = Report { state: State::Booted, ..deployed };
        let told = timelines(rounds.report(booted.clone(), after(4500)));
        assert_eq!((told[0].booted_ms, told[0].total_ms), (Some(4000), 4500));
        assert_eq!((told[0].outcome, sum(&told[0])), (Outcome::Booted, 4500));
        assert_eq!(rounds.report(booted, after(5000)), []);
    }

    /// Guards that no round is lost: those that were passed over, those that failed and then
    /// did not, and those without an end.
    #[test]
    fn every_round_is_told_of() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut rounds = Rounds::default();
        for commit in ["a", "b", "c"] {
            rounds.committed(committed(start, commit));
        }
        let error = Some("no space\n".to_string());
        let failed = Report { error, deployed_ms: None, ..report("b", "vm", State::Failed) };
        let told = timelines(rounds.report(failed, after(400)));
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].round, told[0].outcome), (1, Outcome::Superseded));
        assert_eq!((told[0].machine.as_deref(), told[0].total_ms), (None, 240));
        assert_eq!((told[1].pulled_ms, told[1].deployed_ms), (Some(50), Some(110)));
        assert!(told[1].line().ends_with(" = 400 ms; FAILED: no space\\n"), "{}", told[1].line());
        let told = timelines(rounds.report(report("b", "vm", State::Deployed), after(700)));
        assert_eq!((told.len(), told[0].outcome), (1, Outcome::Deployed));
        let told = timelines(rounds.end());
        assert_eq!((told.len(), told[0].outcome), (1, Outcome::Unfinished));
        assert_eq!(told[0].commit, "c");
    }

    proptest! {
        /// Guards that timelines add up, whatever machines claim and whenever they do.
        #[test]
        fn timelines_add_up(
            edits in proptest::collection::vec((0u64..3_000_000, 0u64..3_000_000), 1..4),
            reports in proptest::collection::vec(
                (0usize..4, 0usize..2, 0usize..3, 0usize..2, any::<Option<u64>>(), 0u64..9_000_000),
                0..12
            ),
        ) {
            let start = Instant::now();
            let after = |us| start + Duration::from_micros(us);
            let mut rounds = Rounds::default();
            let mut told = Vec::new();
            for (index, (settled, done)) in edits.iter().enumerate() {
                let (settled, done) = (after(*settled), after(settled + done));
                let commit = index.to_string();
                told.extend(rounds.committed(Committed { commit, changed: 1, seen: start, settled, done }));
            }
            for (commit, machine, state, apply, claimed, at) in reports {
                let state = [State::Deployed, State::Booted, State::Failed][state];
                let report = Report {
                    apply: [Apply::None, Apply::Reboot][apply],
                    pulled_ms: claimed,
                    deployed_ms: claimed,
                    ..report(&commit.to_string(), ["a", "b"][machine], state)
                };
                told.extend(rounds.report(report, after(at)));
            }
            told.extend(rounds.end());
            let told = timelines(told);
            for timeline in &told {
                prop_assert_eq!(sum(timeline), timeline.total_ms);
            }
            let rounds: std::collections::BTreeSet<u64> = told.iter().map(|t| t.round).collect();
            prop_assert_eq!(rounds.len(), edits.len());
        }
    }
}
