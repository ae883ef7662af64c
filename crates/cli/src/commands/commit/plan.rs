//! What `commit --dry-run` says.

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_repo::commit::{CommitPlan, plan_commit};
use trefoil_repo::{Transaction, TreeId};

use super::{CommitArgs, ObjectsView};
use crate::context::Context;
use crate::error::Result;
use crate::size;

/// What would become of a commit.
enum Outcome {
    /// It would be this one.
    Commit(Checksum),
    /// It would be one whose checksum depends on when and how it is made.
    SomeCommit,
    /// None would be made: the tree is that of the parent.
    None,
}

/// What a commit would be, for `--json`.
#[derive(Debug, Serialize)]
struct PlanView<'a> {
    dry_run: bool,
    branch: Option<&'a str>,
    /// Whether there would be a commit at all (`--skip-if-unchanged`).
    committed: bool,
    /// Not there where the checksum depends on the time.
    commit: Option<String>,
    dirtree: String,
    dirmeta: String,
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesView>,
    #[serde(flatten)]
    objects: ObjectsView,
}

#[derive(Debug, Serialize)]
struct ChangesView {
    added: u64,
    removed: u64,
    changed: u64,
}

/// Says what a commit of `tree`, rehearsed as `commit`, would be; none where it would not be made.
pub fn print(
    args: &CommitArgs,
    cx: &Context,
    transaction: &Transaction<'_>,
    tree: TreeId,
    parent: Option<Checksum>,
    commit: Option<Checksum>,
) -> Result<()> {
    let outcome = match commit {
        None => Outcome::None,
        Some(commit) if args.foretells_checksum() => Outcome::Commit(commit),
        Some(_) => Outcome::SomeCommit,
    };
    tell(args, cx, &plan_commit(transaction, tree, parent)?, &outcome)
}

fn tell(args: &CommitArgs, cx: &Context, plan: &CommitPlan, outcome: &Outcome) -> Result<()> {
    if args.json {
        return cx.ui.json(&view(args, plan, outcome));
    }
    cx.ui.line(first_line(args, plan, outcome))?;
    cx.ui.line(format_args!("root: dirtree {}, dirmeta {}", plan.tree.tree, plan.tree.meta))?;
    if let (Some(parent), Some(changes)) = (plan.parent, plan.changes) {
        match changes.is_empty() {
            true => cx.ui.line(format_args!("no changes since {parent}"))?,
            false => cx.ui.line(format_args!(
                "changes since {parent}: {} added, {} removed, {} changed",
                changes.added, changes.removed, changes.changed
            ))?,
        }
    }
    if matches!(outcome, Outcome::None) {
        return Ok(());
    }
    let stats = &plan.stats;
    cx.ui.line(format_args!(
        "{} of {} metadata, {} of {} content objects would be written; {} content",
        stats.metadata_objects_written,
        stats.metadata_objects_total,
        stats.content_objects_written,
        stats.content_objects_total,
        size::words(stats.content_bytes_written)
    ))
}

fn first_line(args: &CommitArgs, plan: &CommitPlan, outcome: &Outcome) -> String {
    let parent = plan.parent.map(|parent| parent.to_hex()).unwrap_or_default();
    match (&args.branch, outcome) {
        (_, Outcome::None) => format!("nothing would be committed: the tree is that of {parent}"),
        (Some(branch), Outcome::Commit(commit)) => format!("{branch} would point to {commit}"),
        (Some(branch), Outcome::SomeCommit) => format!("{branch} would point to a new commit"),
        (None, Outcome::Commit(commit)) => format!("commit {commit} would be written"),
        (None, Outcome::SomeCommit) => "a new commit would be written".to_string(),
    }
}

fn view<'a>(args: &'a CommitArgs, plan: &CommitPlan, outcome: &Outcome) -> PlanView<'a> {
    let commit = match outcome {
        Outcome::Commit(commit) => Some(commit.to_hex()),
        Outcome::SomeCommit | Outcome::None => None,
    };
    let changes = plan.changes.map(|changes| ChangesView {
        added: changes.added,
        removed: changes.removed,
        changed: changes.changed,
    });
    PlanView {
        dry_run: true,
        branch: args.branch.as_deref(),
        committed: !matches!(outcome, Outcome::None),
        commit,
        dirtree: plan.tree.tree.to_hex(),
        dirmeta: plan.tree.meta.to_hex(),
        parent: plan.parent.map(|parent| parent.to_hex()),
        changes,
        objects: ObjectsView::from(&plan.stats),
    }
}
