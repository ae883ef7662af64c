//! `fsck`: checks every object.

use clap::Args;
use serde::Serialize;
use trefoil_repo::fsck::{self, Finding, FsckEvent, FsckOptions, FsckReport};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::ui::Ui;

/// Arguments of `fsck`.
#[derive(Args, Debug)]
pub struct FsckArgs {
    /// Add tombstones for missing commits
    #[arg(long)]
    add_tombstones: bool,
    /// Only print error messages
    #[arg(short, long)]
    quiet: bool,
    /// Don't stop on first error
    #[arg(short, long)]
    all: bool,
    /// Remove corrupted objects
    #[arg(long)]
    delete: bool,
    /// Verify ref bindings
    #[arg(long)]
    verify_bindings: bool,
    /// Verify back-references (implies --verify-bindings)
    #[arg(long)]
    verify_back_refs: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// What was found, for `--json`.
#[derive(Debug, Serialize)]
struct FsckView {
    commits: u64,
    objects: u64,
    partial_commits: u64,
    findings: Vec<FindingView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    object: String,
    commits: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl FindingView {
    fn new(finding: &Finding) -> Self {
        let problem = finding.problem.as_ref().map(|p| crate::error::chain_text(p));
        FindingView {
            object: finding.object.to_string(),
            commits: finding.commits.iter().map(|c| c.to_hex()).collect(),
            problem,
        }
    }

    fn text(&self) -> String {
        let commits = self.commits.join(", ");
        match (&self.problem, commits.is_empty()) {
            (None, true) => format!("Object missing: {}", self.object),
            (None, false) => format!("Object missing in commits {commits}: {}", self.object),
            (Some(problem), true) => problem.clone(),
            (Some(problem), false) => format!("In commits {commits}: {problem}"),
        }
    }
}

/// Runs `fsck`.
pub fn run(args: FsckArgs, cx: &Context) -> Result<()> {
    let mut repo = cx.open_repo()?;
    let options = FsckOptions {
        all: args.all,
        delete: args.delete,
        add_tombstones: args.add_tombstones,
        verify_bindings: args.verify_bindings,
        verify_back_refs: args.verify_back_refs,
    };
    let progress = cx.progress("fsck");
    let silent = args.quiet || args.json;
    let mut written = Ok(());
    let report = fsck::fsck(&mut repo, options, &mut |event| {
        if written.is_ok() {
            written = announce(&cx.ui, silent, &event);
        }
    })?;
    written?;
    drop(progress);
    conclude(&args, cx, &report)
}

fn announce(ui: &Ui, silent: bool, event: &FsckEvent<'_>) -> Result<()> {
    match event {
        FsckEvent::Finding(finding) => ui.words(FindingView::new(finding).text()),
        FsckEvent::MarkedPartial(commit) => {
            ui.words(format_args!("Marking commit as partial: {commit}"))
        }
        FsckEvent::AddedTombstone(commit) => {
            ui.line(format_args!("Adding tombstone for commit {commit}"))
        }
        _ if silent => Ok(()),
        FsckEvent::ValidatingRefs => ui.line("Validating refs..."),
        FsckEvent::ValidatingCollectionRefs => ui.line("Validating refs in collections..."),
        FsckEvent::EnumeratingCommits => ui.line("Enumerating commits..."),
        FsckEvent::VerifyingObjects(count) => {
            ui.line(format_args!("Verifying content integrity of {count} commit objects..."))
        }
        FsckEvent::Progress { .. } => Ok(()),
    }
}

fn conclude(args: &FsckArgs, cx: &Context, report: &FsckReport) -> Result<()> {
    if args.json {
        cx.ui.json(&FsckView {
            commits: report.commits,
            objects: report.objects,
            partial_commits: report.partial,
            findings: report.findings.iter().map(FindingView::new).collect(),
        })?;
    } else if !args.add_tombstones && report.partial > 0 {
        cx.ui.line(format_args!("{} partial commits not verified", report.partial))?;
    }
    if !report.findings.is_empty() {
        return Err(CliError::Advised(
            "Repository corruption encountered".to_string(),
            "'fsck --delete' removes what is broken, a pull fetches it again",
        ));
    }
    if report.fsck_partial > 0 {
        let count = report.partial;
        return Err(CliError::failed(format!(
            "{count} partial commits from fsck-detected corruption"
        )));
    }
    if args.json {
        return Ok(());
    }
    cx.ui.line(format_args!(
        "object fsck of {} commits completed successfully - no errors found.",
        report.commits
    ))
}
