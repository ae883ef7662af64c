//! One round on one machine, from the first edit to the end.

use serde::Serialize;

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
