//! Disk images that no machine runs: `image update` after each commit.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use serde::Deserialize;
use trefoil_serve::{Apply, Report, State};

use super::agent::Agent;
use super::{Event, Teller};
use crate::error::{CliError, Context as _, Result};

/// One image, and what it is kept at.
#[derive(Debug)]
struct Worker {
    image: PathBuf,
    repo: PathBuf,
    branch: String,
    teller: Teller,
}

/// The part of what `image update --json` prints that we need.
#[derive(Deserialize)]
struct Updated {
    commit: String,
    phases: Vec<Phase>,
}

#[derive(Deserialize)]
struct Phase {
    name: String,
    seconds: f64,
}

/// Begins to keep `image` at the ref `branch` of the repository at `repo`. An update that is
/// under way at the end is finished.
pub fn start(image: &Path, repo: &Path, branch: &str, teller: Teller) -> Agent {
    let (image, repo, branch) = (image.to_path_buf(), repo.to_path_buf(), branch.to_string());
    let worker = Worker { image, repo, branch, teller };
    Agent::spawn(move |commits, _| worker.run(commits))
}

impl Worker {
    fn run(&self, commits: &Receiver<String>) {
        while let Ok(first) = commits.recv() {
            let commit = commits.try_iter().last().unwrap_or(first);
            let report = match self.update() {
                Ok(updated) => self.updated(&updated),
                Err(error) => {
                    let (state, error) = (State::Failed, Some(error.to_string()));
                    Report { state, error, ..self.report(commit) }
                }
            };
            self.teller.tell(Event::Report(report, Instant::now()));
        }
    }

    /// A process of its own: what it attaches is detached whatever becomes of us.
    fn update(&self) -> Result<Updated> {
        let output = Command::new("/proc/self/exe")
            .args(["image", "update", "--json", "--repo"])
            .args([&self.repo, &self.image])
            .arg(&self.branch)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .context("running 'image update'")?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            let error = words.lines().find_map(|line| line.strip_prefix("error: "));
            let status = output.status;
            let error = error.map_or(format!("'image update' ended with {status}"), str::to_string);
            return Err(CliError::failed(error));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// All that comes before the objects are there counts as pulling.
    fn updated(&self, updated: &Updated) -> Report {
        let pull = updated.phases.iter().position(|phase| phase.name == "pull");
        let (before, after) = updated.phases.split_at(pull.map_or(0, |at| at + 1));
        let ms = |phases: &[Phase]| {
            let seconds: f64 = phases.iter().map(|phase| phase.seconds).sum();
            Some((seconds * 1000.0) as u64)
        };
        let report = self.report(updated.commit.clone());
        Report { pulled_ms: ms(before), deployed_ms: ms(after), ..report }
    }

    fn report(&self, commit: String) -> Report {
        Report {
            name: self.branch.clone(),
            commit,
            machine: self.image.display().to_string(),
            state: State::Deployed,
            apply: Apply::None,
            pulled_ms: None,
            deployed_ms: None,
            booted_ms: None,
            error: None,
        }
    }
}
