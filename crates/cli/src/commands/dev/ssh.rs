//! Machines without an agent: an upgrade is run on them over ssh, which brings the server to
//! them by a port of their own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use trefoil_serve::{Apply, Report, State};

use super::agent::{Agent, Shared};
use super::{Event, Teller};
use crate::error::{CliError, Result};

/// How long a machine may take to boot, and how often it is asked.
const BOOT: Duration = Duration::from_secs(300);
const BOOT_ASK: Duration = Duration::from_secs(1);

/// A machine that was reset says no farewell: without these ssh would wait for it for ever.
const ALIVE: [&str; 2] = ["ServerAliveInterval=5", "ServerAliveCountMax=6"];
/// What ssh ends with where the connection is the trouble, not the command.
const CONNECTION: i32 = 255;

/// What all machines have in common.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Run on the machine, with `{url}` and `{apply}` filled in.
    pub command: String,
    /// Where the server listens here.
    pub address: SocketAddr,
    /// What the machine does after a deploy.
    pub apply: Apply,
}

impl Plan {
    /// What `--ssh-command` is without being told.
    pub const COMMAND: &str = "trefoil admin upgrade --follow={url} --once --json --apply={apply}";

    /// The words that run the command on `host`. The port on the machine is that of the server
    /// here.
    fn words(&self, host: &str) -> Vec<String> {
        let port = self.address.port();
        let here = match self.address.ip().is_unspecified() {
            true => format!("127.0.0.1:{port}"),
            false => self.address.to_string(),
        };
        let url = format!("http://127.0.0.1:{port}/");
        let command = self.command.replace("{url}", &url).replace("{apply}", self.apply.word());
        let options = ["BatchMode=yes", "ConnectTimeout=5", ALIVE[0], ALIVE[1]];
        let options = options.iter().flat_map(|option| ["-o", *option]);
        let forward = ["-o", "ExitOnForwardFailure=yes", "-R"];
        let words = ["ssh"].into_iter().chain(options).chain(forward).map(str::to_string);
        words.chain([format!("127.0.0.1:{port}:{here}"), host.to_string(), command]).collect()
    }
}

/// Begins to upgrade `host` whenever it is told to. At the end what is under way here is ended;
/// the machine finishes what it began.
pub fn start(host: &str, plan: Plan, teller: Teller) -> Result<Agent> {
    if host.is_empty() || host.starts_with('-') {
        return Err(CliError::failed(format!("'{host}' is no name of a host")));
    }
    let host = host.to_string();
    Ok(Agent::spawn(move |commits, shared| {
        Worker { host, plan, teller, shared }.run(commits);
    }))
}

struct Worker<'a> {
    host: String,
    plan: Plan,
    teller: Teller,
    shared: &'a Shared,
}

impl Worker<'_> {
    fn run(&self, commits: &Receiver<String>) {
        while commits.recv().is_ok() {
            // One run brings what is newest by then.
            commits.try_iter().for_each(drop);
            match self.upgrade(true) {
                Ok(done) => match (self.goes_down_for(&done), done.status) {
                    (Some(commit), _) => self.boot(commit, commits),
                    (None, Some(status)) if !status.success() => {
                        self.say(&format!("the upgrade ended with {status}"));
                    }
                    (None, _) => {}
                },
                Err(error) => self.say(&error.to_string()),
            }
        }
    }

    fn say(&self, what: &str) {
        self.teller.tell(Event::Words(format!("ssh {}: {what}", self.host)));
    }

    /// The commit that the machine goes down for. It takes the connection with it more often than
    /// not, which is no failure then.
    fn goes_down_for(&self, done: &Done) -> Option<String> {
        let went = done.status.is_none_or(|s| s.success() || s.code() == Some(CONNECTION));
        let deployed = done.reports.iter().rev().find(|r| r.state == State::Deployed);
        deployed.filter(|_| went && self.plan.apply != Apply::None).map(|r| r.commit.clone())
    }

    /// Asks until the machine runs `commit`, or what came after it: a commit that comes while
    /// nobody answers would be lost otherwise.
    fn boot(&self, mut commit: String, commits: &Receiver<String>) {
        let mut until = Instant::now() + BOOT;
        loop {
            match commits.recv_timeout(BOOT_ASK) {
                Ok(next) => commit = commits.try_iter().last().unwrap_or(next),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // While it goes down and comes up nobody answers, or nobody yet.
            if let Ok(done) = self.upgrade(false) {
                if done.reports.iter().any(|r| r.state == State::Booted && r.commit == commit) {
                    return;
                }
                if self.goes_down_for(&done).is_some() {
                    until = Instant::now() + BOOT;
                }
            }
            if Instant::now() > until {
                return self.say("it does not come back");
            }
        }
    }

    /// Runs the command once and passes on what it reports.
    fn upgrade(&self, loud: bool) -> Result<Done> {
        let words = self.plan.words(&self.host);
        let errors = if loud { Stdio::inherit() } else { Stdio::null() };
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()?;
        let out = child.stdout.take().expect("it is piped");
        self.shared.hold(child);
        let mut reports = Vec::new();
        let mut lines = BufReader::new(out);
        let mut line = Vec::new();
        while lines.by_ref().take(Report::LIMIT as u64).read_until(b'\n', &mut line)? > 0 {
            if let Some(report) = Report::parse(&line) {
                reports.push(report.clone());
                self.teller.tell(Event::Report(report, Instant::now()));
            }
            line.clear();
        }
        let child = self.shared.release();
        let status = child.map(|mut child| child.wait()).transpose()?;
        Ok(Done { reports, status: status.filter(|_| !self.shared.is_stopped()) })
    }
}

/// What came of one run of the command.
struct Done {
    reports: Vec<Report>,
    /// How it ended; `None` where we ended it.
    status: Option<ExitStatus>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the words that ssh is given: the server's port is carried to the machine.
    #[test]
    fn the_server_is_brought_along() {
        let plan = |address: &str| Plan {
            command: Plan::COMMAND.to_string(),
            address: address.parse().expect("an address"),
            apply: Apply::Reboot,
        };
        let words = plan("0.0.0.0:8080").words("me@vm");
        assert_eq!(
            words[words.len() - 4..],
            [
                "-R",
                "127.0.0.1:8080:127.0.0.1:8080",
                "me@vm",
                "trefoil admin upgrade --follow=http://127.0.0.1:8080/ --once --json --apply=reboot"
            ]
        );
        let words = plan("10.0.0.1:80").words("vm");
        assert_eq!(words[words.len() - 3], "127.0.0.1:80:10.0.0.1:80");
    }
}
