//! `watch`: commits a directory whenever it changes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::watching::{Round, SetupArgs, Signals, Step, Watching};

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Directory to watch
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    watch: SetupArgs,
    /// Run CMD with the shell after each commit, with TREFOIL_COMMIT and TREFOIL_REF set; its
    /// output goes to standard error
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// Commit once the tree has come to rest, and end
    #[arg(long)]
    once: bool,
    /// Print a line of JSON for each commit
    #[arg(long)]
    json: bool,
}

/// Runs `watch`.
pub fn run(args: WatchArgs, cx: &Context) -> Result<()> {
    let Some(path) = args.dir else {
        return Err(CliError::usage("A directory to watch must be specified"));
    };
    args.watch.check()?;
    let signals = Signals::hold()?;
    let repo = args.watch.open_repo(cx)?;
    let setup = args.watch.setup(path.clone())?;
    let branch = setup.branch.clone();
    let idle = args.once.then_some(setup.quiet);
    let mut watching = Watching::start(cx, repo, setup)?;
    signals.stop(watching.stopper());
    let printer = Printer { cx, branch, json: args.json, exec: args.exec };
    if args.once {
        return once(&mut watching, &printer, idle);
    }
    let (path, backend) = (path.display(), watching.backend());
    let branch = &printer.branch;
    cx.ui
        .words(format_args!("watching {path} by {backend}, committing to {branch}; Ctrl-C ends"))?;
    let commits = follow(&mut watching, &printer)?;
    // On a terminal the line begins with the ^C of the user.
    let start = if std::io::stderr().is_terminal() { "\r" } else { "" };
    cx.ui.words(match commits {
        1 => format!("{start}ended after 1 commit"),
        n => format!("{start}ended after {n} commits"),
    })
}

/// Commits what is there, and what changes until the tree rests.
fn once(watching: &mut Watching<'_>, printer: &Printer<'_>, idle: Option<Duration>) -> Result<()> {
    for _ in 0..2 {
        match watching.next(idle)? {
            Step::Committed(round) => printer.committed(&round)?,
            Step::Failed(error) => return Err(error),
            Step::Unchanged(_) | Step::Idle => {}
            Step::Stopped => break,
        }
    }
    Ok(())
}

/// Commits until somebody asks for an end, and tells how often.
fn follow(watching: &mut Watching<'_>, printer: &Printer<'_>) -> Result<u64> {
    let ui = &printer.cx.ui;
    let (mut commits, mut first, mut said) = (0, true, String::new());
    loop {
        match watching.next(None)? {
            Step::Committed(round) => {
                commits += 1;
                said.clear();
                printer.committed(&round)?;
            }
            Step::Unchanged(commit) if first => {
                ui.words(format_args!("{} is up to date at {commit}", printer.branch))?;
            }
            Step::Failed(error) if error.to_string() != said => {
                said = error.to_string();
                ui.words(format_args!("not committed yet: {error}"))?;
            }
            Step::Unchanged(_) | Step::Failed(_) | Step::Idle => {}
            Step::Stopped => return Ok(commits),
        }
        first = false;
    }
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct RoundReport<'a> {
    commit: String,
    parent: Option<String>,
    #[serde(rename = "ref")]
    branch: &'a str,
    changed: u64,
    added: u64,
    modified: u64,
    removed: u64,
    /// Why everything was looked at.
    walked: Option<&'a str>,
    settled_ms: u64,
    ms: u64,
}

struct Printer<'a> {
    cx: &'a Context,
    branch: String,
    json: bool,
    exec: Option<String>,
}

impl Printer<'_> {
    fn committed(&self, round: &Round) -> Result<()> {
        let ui = &self.cx.ui;
        if let Some(why) = round.looked.words() {
            ui.words(format_args!("looked at everything: {why}"))?;
        }
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let difference = &round.difference;
        let report = RoundReport {
            commit: round.commit.to_hex(),
            parent: round.parent.map(|parent| parent.to_hex()),
            branch: &self.branch,
            changed: difference.total(),
            added: difference.added,
            modified: difference.modified,
            removed: difference.removed,
            walked: round.looked.words(),
            settled_ms: ms(round.settled),
            ms: ms(round.took),
        };
        match self.json {
            true => ui.json_line(&report)?,
            false => {
                ui.line(line(&report, &difference.sample, std::io::stdout().is_terminal()))?;
                ui.flush()?;
            }
        }
        self.exec(&report)
    }

    /// Its failure is no reason to watch no longer.
    fn exec(&self, report: &RoundReport<'_>) -> Result<()> {
        let Some(command) = &self.exec else { return Ok(()) };
        let status = Command::new("/bin/sh")
            .args(["-c", command])
            .env("TREFOIL_COMMIT", &report.commit)
            .env("TREFOIL_REF", &self.branch)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .context(format!("running {command}"));
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => self.cx.ui.words(format_args!("the command of --exec failed: {status}")),
            Err(error) => self.cx.ui.words(error),
        }
    }
}

/// `CHECKSUM CHANGED MS`, the same three for programs, dressed up and with some of the paths
/// for people.
fn line(report: &RoundReport<'_>, sample: &[String], people: bool) -> String {
    let RoundReport { commit, changed, ms, .. } = report;
    if !people {
        return format!("{commit} {changed} {ms}");
    }
    let what = if report.parent.is_some() { "changed" } else { "entries" };
    let more = *changed > sample.len() as u64 && !sample.is_empty();
    let paths: Vec<String> = sample.iter().map(|p| p.escape_debug().to_string()).collect();
    let paths = format!("{}{}", paths.join(" "), if more { " ..." } else { "" });
    format!("{commit}  {changed} {what}  {ms} ms  {paths}").trim_end().to_string()
}
