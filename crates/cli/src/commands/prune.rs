//! `prune`: deletes objects that nothing needs.

use clap::Args;
use serde::Serialize;
use trefoil_repo::prune::{self, PruneOptions, PruneStats};
use trefoil_repo::pull::prune_summary_cache;
use trefoil_repo::traverse::Depth;

use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{dates, size};

/// Arguments of `prune`.
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Only display unreachable objects; don't delete
    #[arg(long, alias = "dry-run")]
    no_prune: bool,
    /// Only compute reachability via refs
    #[arg(long)]
    refs_only: bool,
    /// Only traverse DEPTH parents for each commit (default: -1=infinite)
    #[arg(long, value_name = "DEPTH", default_value_t = -1)]
    depth: i64,
    /// Specify a commit to delete
    #[arg(long, value_name = "COMMIT")]
    delete_commit: Option<String>,
    /// Prune all commits older than the specified date
    #[arg(long, value_name = "DATE")]
    keep_younger_than: Option<String>,
    /// Change the behavior of delete-commit and keep-younger-than to prune only static deltas
    #[arg(long)]
    static_deltas_only: bool,
    /// Additionally retain BRANCH=DEPTH commits
    #[arg(long, value_name = "BRANCH=DEPTH")]
    retain_branch_depth: Vec<String>,
    /// Only prune BRANCH (may be specified multiple times)
    #[arg(long, value_name = "BRANCH")]
    only_branch: Vec<String>,
    /// Only traverse and delete commit objects.
    #[arg(long)]
    commit_only: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// The numbers, for `--json`.
#[derive(Debug, Serialize)]
struct PruneView {
    objects_total: u64,
    objects_pruned: u64,
    bytes_freed: u64,
    deleted: bool,
}

/// Runs `prune`.
pub fn run(args: PruneArgs, cx: &Context) -> Result<()> {
    let Place { mut repo, remotes_d, .. } = Place::open(cx, None)?;
    if args.delete_commit.is_some() && args.no_prune {
        return Err(CliError::usage("Cannot specify both --delete-commit and --no-prune"));
    }
    if args.static_deltas_only && args.delete_commit.is_none() {
        return Err(CliError::failed(
            "--static-deltas-only requires --delete-commit; see \
             https://github.com/ostreedev/ostree/issues/1479",
        ));
    }
    let options = options(&args)?;
    if let Some(commit) = &args.delete_commit {
        let commit = commit.parse()?;
        match args.static_deltas_only {
            true => drop(prune::prune_deltas_to(&repo, &commit)?),
            false => prune::delete_commit(&mut repo, &commit)?,
        }
    }
    let progress = cx.progress("prune");
    let plan = prune::plan_prune(&repo, &options)?;
    let stats = if args.no_prune { plan.stats() } else { plan.apply()? };
    if !args.no_prune {
        prune_summary_cache(&repo, remotes_d.as_ref())?;
    }
    drop(progress);
    print(&args, cx, &stats)
}

fn options(args: &PruneArgs) -> Result<PruneOptions> {
    let younger = args.keep_younger_than.as_deref().map(dates::parse).transpose()?;
    let mut options = PruneOptions {
        refs_only: args.refs_only,
        depth: Depth::from_arg(args.depth),
        keep_younger_than: younger.map(|seconds| u64::try_from(seconds).unwrap_or(0)),
        only_branches: args.only_branch.clone(),
        commit_only: args.commit_only,
        ..PruneOptions::default()
    };
    for text in &args.retain_branch_depth {
        let (branch, depth) = text.split_once('=').ok_or_else(|| {
            CliError::failed(format!("Invalid value {text}, must specify BRANCH=DEPTH"))
        })?;
        let depth: i64 =
            depth.parse().map_err(|_| CliError::failed(format!("Invalid depth {depth}")))?;
        options.retain_branch_depth.insert(branch.to_string(), Depth::from_arg(depth));
    }
    Ok(options)
}

fn print(args: &PruneArgs, cx: &Context, stats: &PruneStats) -> Result<()> {
    if args.json {
        return cx.ui.json(&PruneView {
            objects_total: stats.objects_total,
            objects_pruned: stats.objects_pruned,
            bytes_freed: stats.bytes_freed,
            deleted: !args.no_prune,
        });
    }
    let kind = if args.commit_only { " (commit only)" } else { "" };
    cx.ui.line(format_args!("Total{kind} objects: {}", stats.objects_total))?;
    let (count, bytes) = (stats.objects_pruned, size::words(stats.bytes_freed));
    match (count, args.no_prune) {
        (0, _) => cx.ui.line("No unreachable objects"),
        (_, true) => cx.ui.line(format_args!("Would delete: {count} objects, freeing {bytes}")),
        (_, false) => cx.ui.line(format_args!("Deleted {count} objects, {bytes} freed")),
    }
}
