//! `diff`: what differs between two commits, or a commit and a directory.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use trefoil_fsat::Dir;
use trefoil_repo::diff::{
    DiffSide, DirsDiff, DirsDiffOptions, ObjectsDiff, diff_dirs, diff_objects,
};
use trefoil_repo::{Repo, TreeId};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{object_tree, size};

/// Arguments of `diff`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// Commits, or directories if they begin with / or ./; one alone is compared with its parent
    #[arg(value_name = "REV_OR_DIR REV_OR_DIR")]
    arguments: Vec<String>,
    /// Print various statistics
    #[arg(long)]
    stats: bool,
    /// Print filesystem diff
    #[arg(long)]
    fs_diff: bool,
    /// Skip output of extended attributes
    #[arg(long)]
    no_xattrs: bool,
    /// Use file ownership user id for local files
    #[arg(long, value_name = "UID")]
    owner_uid: Option<i64>,
    /// Use file ownership group id for local files
    #[arg(long, value_name = "GID")]
    owner_gid: Option<i64>,
    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
}

/// The differences, for `--json`.
#[derive(Debug, Default, Serialize)]
struct DiffView {
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<StatsView>,
}

#[derive(Debug, Serialize)]
struct ChangeView {
    /// `M`, `D` or `A`.
    change: char,
    path: String,
}

#[derive(Debug, Serialize)]
struct StatsView {
    old_objects: u64,
    new_objects: u64,
    common_objects: u64,
    common_bytes: u64,
}

impl StatsView {
    fn new(diff: &ObjectsDiff) -> Self {
        StatsView {
            old_objects: diff.old,
            new_objects: diff.new,
            common_objects: diff.common,
            common_bytes: diff.common_size,
        }
    }
}

/// Runs `diff`.
pub fn run(args: DiffArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let (old, new) = match args.arguments.as_slice() {
        [] => return Err(CliError::usage("REV must be specified")),
        [only] => (format!("{only}^"), only.clone()),
        [old, new, ..] => (old.clone(), new.clone()),
    };
    let mut view = DiffView::default();
    if args.fs_diff || !args.stats {
        view.changes = Some(changes(&args, cx, &repo, &old, &new)?);
    }
    if args.stats {
        let diff = diff_objects(&repo, &repo.resolve_rev(&old)?, &repo.resolve_rev(&new)?)?;
        view.stats = Some(StatsView::new(&diff));
    }
    if args.json {
        return cx.ui.json(&view);
    }
    for change in view.changes.iter().flatten() {
        cx.ui.line(format_args!("{}    {}", change.change, change.path))?;
    }
    if let Some(stats) = &view.stats {
        cx.ui.text(format_args!(
            "[A] Object Count: {}\n[B] Object Count: {}\nCommon Object Count: {}\n\
             Common Object Size: {}\n",
            stats.old_objects,
            stats.new_objects,
            stats.common_objects,
            size::words(stats.common_bytes)
        ))?;
    }
    Ok(())
}

enum Side {
    Tree(TreeId),
    Dir(Dir),
}

impl Side {
    fn open(cx: &Context, repo: &Repo, name: &str) -> Result<Side> {
        if name.starts_with('/') || name.starts_with("./") {
            return Ok(Side::Dir(cx.fs.open_dir(Path::new(name))?));
        }
        Ok(Side::Tree(object_tree::root(repo, name)?))
    }

    fn as_diff<'a>(&'a self, repo: &'a Repo) -> DiffSide<'a> {
        match self {
            Side::Tree(tree) => DiffSide::Tree(repo, *tree),
            Side::Dir(dir) => DiffSide::Dir(dir),
        }
    }
}

fn changes(
    args: &DiffArgs,
    cx: &Context,
    repo: &Repo,
    old: &str,
    new: &str,
) -> Result<Vec<ChangeView>> {
    let options = DirsDiffOptions {
        no_xattrs: args.no_xattrs,
        owner_uid: args.owner_uid.and_then(|id| u32::try_from(id).ok()),
        owner_gid: args.owner_gid.and_then(|id| u32::try_from(id).ok()),
    };
    let (old, new) = (Side::open(cx, repo, old)?, Side::open(cx, repo, new)?);
    let DirsDiff { modified, removed, added } =
        diff_dirs(old.as_diff(repo), new.as_diff(repo), &options)?;
    let mut out = Vec::new();
    for (change, paths) in [('M', modified), ('D', removed), ('A', added)] {
        out.extend(
            paths.iter().map(|p| ChangeView { change, path: p.to_string_lossy().into_owned() }),
        );
    }
    Ok(out)
}
