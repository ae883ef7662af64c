//! `log`: a commit and those before it.

use clap::Args;
use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_repo::Repo;

use crate::commands::show;
use crate::context::Context;
use crate::dates;
use crate::error::{CliError, Result};

/// Arguments of `log`.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Commit or ref to start at
    #[arg(value_name = "REV")]
    rev: Option<String>,
    /// Show raw variant data
    #[arg(long)]
    raw: bool,
    /// Print the commits as JSON
    #[arg(long)]
    json: bool,
}

/// A commit as people read it.
#[derive(Debug, Serialize)]
pub struct CommitView {
    /// Its own checksum.
    pub checksum: String,
    /// The commit before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Checksum over the content alone.
    pub content_checksum: String,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The metadata `version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// First line of the message.
    pub subject: String,
    /// The rest of the message.
    pub body: String,
}

impl CommitView {
    /// The view of `commit`.
    pub fn new(checksum: &Checksum, commit: &Commit) -> Self {
        CommitView {
            checksum: checksum.to_hex(),
            parent: commit.parent.map(|p| p.to_hex()),
            content_checksum: commit.content_checksum().to_hex(),
            timestamp: commit.timestamp,
            version: commit.metadata.get_str("version").map(str::to_string),
            subject: commit.subject.clone(),
            body: commit.body.clone(),
        }
    }

    /// The text of `ostree log`, without the line that names the commit.
    pub fn text(&self) -> Result<String> {
        let date = dates::utc(self.timestamp).ok_or_else(|| {
            CliError::failed(format!(
                "Failed to read commit: Invalid timestamp: {}",
                self.timestamp
            ))
        })?;
        let mut out = String::new();
        if let Some(parent) = &self.parent {
            out.push_str(&format!("Parent:  {parent}\n"));
        }
        out.push_str(&format!("ContentChecksum:  {}\nDate:  {date}\n", self.content_checksum));
        if let Some(version) = &self.version {
            out.push_str(&format!("Version: {version}\n"));
        }
        if self.subject.is_empty() {
            out.push_str("(no subject)\n");
        } else {
            out.push('\n');
            out.push_str(&indented(&self.subject));
        }
        if !self.body.is_empty() {
            out.push('\n');
            out.push_str(&indented(&self.body));
        }
        out.push('\n');
        Ok(out)
    }
}

fn indented(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| format!("    {}\n", line.trim_end_matches('\n')))
        .collect()
}

/// Runs `log`.
pub fn run(args: LogArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let rev = args.rev.as_deref().ok_or_else(|| CliError::usage("A rev argument is required"))?;
    let first = repo.resolve_rev(rev)?;
    if args.json {
        return print_json(cx, &repo, first);
    }
    let mut next = Some(first);
    while let Some(checksum) = next {
        let Some(commit) = load(&repo, &checksum, checksum == first)? else {
            return cx.ui.line("<< History beyond this commit not fetched >>");
        };
        cx.ui.line(format_args!("commit {checksum}"))?;
        if args.raw {
            cx.ui.line(show::raw_object(&repo, ObjectType::Commit, &checksum)?)?;
        } else {
            cx.ui.text(CommitView::new(&checksum, &commit).text()?)?;
        }
        next = commit.parent;
    }
    Ok(())
}

fn print_json(cx: &Context, repo: &Repo, first: Checksum) -> Result<()> {
    let mut views = Vec::new();
    let mut next = Some(first);
    while let Some(checksum) = next {
        let Some(commit) = load(repo, &checksum, checksum == first)? else { break };
        views.push(CommitView::new(&checksum, &commit));
        next = commit.parent;
    }
    cx.ui.json(&views)
}

fn load(repo: &Repo, checksum: &Checksum, must_exist: bool) -> Result<Option<Commit>> {
    let name = ObjectName::new(*checksum, ObjectType::Commit);
    if !must_exist && !repo.has_object(&name)? {
        return Ok(None);
    }
    Ok(Some(repo.load_commit(checksum)?))
}
