//! `checkout`: writes the tree of a commit into a directory.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use trefoil_fsat::Dir;
use trefoil_repo::checkout::{
    CheckoutMode, CheckoutOptions, CheckoutPlan, CheckoutStats, Overwrite, checkout_subpath,
    plan_checkout,
};
use trefoil_repo::{Repo, RepoError, TreeId};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};
use crate::{keyvalue, user_files};

/// Arguments of `checkout`.
#[derive(Args, Debug)]
pub struct CheckoutArgs {
    /// Commit or ref, then the directory to make; without it, one named as the commit
    #[arg(value_name = "COMMIT [DESTINATION]")]
    arguments: Vec<String>,
    /// Do not change file ownership or initialize extended attributes
    #[arg(short = 'U', long)]
    user_mode: bool,
    /// Do not update or use the internal repository uncompressed object cache
    #[arg(long)]
    disable_cache: bool,
    /// Checkout sub-directory PATH
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,
    #[command(flatten)]
    union: UnionArgs,
    /// Process 'whiteout' (Docker style) entries
    #[arg(long)]
    whiteouts: bool,
    /// Enable overlayfs whiteout extraction into char 0:0 devices
    #[arg(long)]
    process_passthrough_whiteouts: bool,
    /// Do nothing if specified path does not exist
    #[arg(long)]
    allow_noent: bool,
    /// Process many checkouts from standard input
    #[arg(long)]
    from_stdin: bool,
    /// Process many checkouts from input file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Specify how to invoke fsync()
    #[arg(long, value_name = "POLICY", value_parser = keyvalue::boolean)]
    fsync: Option<bool>,
    /// Do not fall back to full copies if hardlinking fails
    #[arg(short = 'H', long)]
    require_hardlinks: bool,
    #[arg(short = 'z', long, hide = true)]
    force_copy_zerosized: bool,
    /// Never hardlink (but may reflink if available)
    #[arg(short = 'C', long)]
    force_copy: bool,
    /// Suppress mode bits outside of 0775 for directories (suid, world writable, etc.)
    #[arg(short = 'M', long)]
    bareuseronly_dirs: bool,
    /// File containing list of files to skip
    #[arg(long, value_name = "FILE")]
    skip_list: Option<PathBuf>,
    #[arg(long, hide = true)]
    selinux_policy: Option<PathBuf>,
    #[arg(long, hide = true)]
    selinux_prefix: Option<String>,
    #[arg(long, hide = true)]
    composefs: bool,
    #[arg(long, hide = true)]
    composefs_noverity: bool,
    /// Only say what would be made
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What to do with files that are already there.
#[derive(Args, Debug)]
struct UnionArgs {
    /// Keep existing directories, overwrite existing files
    #[arg(long)]
    union: bool,
    /// Keep existing files/directories, only add new
    #[arg(long)]
    union_add: bool,
    /// When layering checkouts, error out if a file would be replaced with a different version, but add new files and directories
    #[arg(long)]
    union_identical: bool,
}

impl UnionArgs {
    fn overwrite(&self) -> Result<Overwrite> {
        let clash = |a: &str, b: &str| {
            Err(CliError::failed(format!("Cannot specify both --{a} and --{b}")))
        };
        match (self.union, self.union_add, self.union_identical) {
            (true, true, _) => clash("union", "union-add"),
            (true, _, true) => clash("union", "union-identical"),
            (_, true, true) => clash("union-add", "union-identical"),
            (true, false, false) => Ok(Overwrite::UnionFiles),
            (false, true, false) => Ok(Overwrite::AddFiles),
            (false, false, true) => Ok(Overwrite::UnionIdentical),
            (false, false, false) => Ok(Overwrite::None),
        }
    }
}

/// What was done, for `--json`.
#[derive(Debug, Default, Serialize)]
struct CheckoutView {
    dirs: u64,
    dirs_kept: u64,
    links: u64,
    copies: u64,
    bytes_copied: u64,
    symlinks: u64,
    kept: u64,
    skipped: u64,
    whiteouts: u64,
}

impl From<CheckoutStats> for CheckoutView {
    fn from(stats: CheckoutStats) -> Self {
        CheckoutView {
            dirs: stats.dirs,
            dirs_kept: stats.dirs_kept,
            links: stats.links,
            copies: stats.copies,
            bytes_copied: stats.bytes_copied,
            symlinks: stats.symlinks,
            kept: stats.kept,
            skipped: stats.skipped,
            whiteouts: stats.whiteouts,
        }
    }
}

/// Runs `checkout`.
pub fn run(args: CheckoutArgs, cx: &Context) -> Result<()> {
    if args.composefs || args.composefs_noverity {
        return Err(CliError::not_yet("'checkout --composefs'"));
    }
    if args.selinux_policy.is_some() || args.selinux_prefix.is_some() {
        return Err(CliError::not_yet("SELinux labelling"));
    }
    let options = options(&args)?;
    let repo = cx.open_repo()?;
    let Some(commit) = args.arguments.first() else {
        return Err(CliError::usage("COMMIT must be specified"));
    };
    if args.dry_run {
        return plan(&args, cx, &repo, &options, commit);
    }
    let progress = cx.progress("checkout");
    let mut stats = CheckoutStats::default();
    if args.from_stdin || args.from_file.is_some() {
        let list = list(&args)?;
        for (commit, subpath) in pairs(&list)? {
            let run = Run {
                args: &args,
                repo: &repo,
                options: &options,
                target: Path::new(&args.arguments[0]),
            };
            stats += run.one(cx, commit, subpath).context(format!("Processing tree {commit}"))?;
        }
    } else {
        let target = Path::new(args.arguments.get(1).unwrap_or(commit));
        let run = Run { args: &args, repo: &repo, options: &options, target };
        stats += run.one(cx, commit, args.subpath.as_deref().unwrap_or("/"))?;
    }
    drop(progress);
    if args.json { cx.ui.json(&CheckoutView::from(stats)) } else { Ok(()) }
}

/// What would be done, for `--json`.
#[derive(Debug, Serialize)]
struct PlanView {
    dry_run: bool,
    dirs: u64,
    dirs_kept: u64,
    files: u64,
    replaced: u64,
    kept: u64,
    skipped: u64,
    whiteouts: u64,
}

/// Says what one checkout would make.
fn plan(
    args: &CheckoutArgs,
    cx: &Context,
    repo: &Repo,
    options: &CheckoutOptions,
    commit: &str,
) -> Result<()> {
    if args.from_stdin || args.from_file.is_some() {
        // Each would have to be planned on top of those before.
        let text = "--dry-run is for one checkout, not for --from-stdin and --from-file";
        return Err(CliError::failed(text));
    }
    let target = Path::new(args.arguments.get(1).map_or(commit, String::as_str));
    let root = TreeId::of_commit(&repo.load_commit(&repo.resolve_rev(commit)?)?);
    let (parent, name) = destination(cx, target)?;
    let subpath = args.subpath.as_deref().unwrap_or("/");
    let plan = match plan_checkout(repo, options, root, subpath, &parent, &name) {
        Err(RepoError::PathNotFound { .. }) if args.allow_noent => CheckoutPlan::default(),
        plan => plan?,
    };
    let CheckoutPlan { dirs, dirs_kept, files, replaced, kept, skipped, whiteouts } = plan;
    if args.json {
        let dry_run = true;
        let view = PlanView { dry_run, dirs, dirs_kept, files, replaced, kept, skipped, whiteouts };
        return cx.ui.json(&view);
    }
    let target = target.display();
    cx.ui.line(format_args!("{dirs} directories and {files} files would be made at {target}"))?;
    if dirs_kept + replaced + kept > 0 {
        cx.ui.line(format_args!(
            "{dirs_kept} directories and {kept} files would be kept, {replaced} files replaced"
        ))?;
    }
    match (skipped, whiteouts) {
        (0, 0) => Ok(()),
        _ => cx.ui.line(format_args!("{skipped} left out, {whiteouts} whiteouts applied")),
    }
}

fn options(args: &CheckoutArgs) -> Result<CheckoutOptions> {
    let skip_list = match &args.skip_list {
        Some(path) => keyvalue::lines(path)?.into_iter().collect(),
        None => Default::default(),
    };
    Ok(CheckoutOptions {
        mode: if args.user_mode { CheckoutMode::User } else { CheckoutMode::None },
        overwrite: args.union.overwrite()?,
        require_hardlinks: args.require_hardlinks,
        force_copy: args.force_copy,
        bareuseronly_dirs: args.bareuseronly_dirs,
        process_whiteouts: args.whiteouts,
        passthrough_whiteouts: args.process_passthrough_whiteouts,
        skip_list,
        uncompressed_cache: !args.disable_cache,
        fsync: args.fsync == Some(true),
    })
}

struct Run<'a> {
    args: &'a CheckoutArgs,
    repo: &'a Repo,
    options: &'a CheckoutOptions,
    target: &'a Path,
}

impl Run<'_> {
    fn one(&self, cx: &Context, rev: &str, subpath: &str) -> Result<CheckoutStats> {
        let commit = self.repo.load_commit(&self.repo.resolve_rev(rev)?)?;
        let root = TreeId::of_commit(&commit);
        let (parent, name) = destination(cx, self.target)?;
        match checkout_subpath(self.repo, self.options, root, subpath, &parent, &name) {
            Err(RepoError::PathNotFound { .. }) if self.args.allow_noent => {
                Ok(CheckoutStats::default())
            }
            other => Ok(other?),
        }
    }
}

/// The directory that holds the destination, and the name in it; `.` where the destination has
/// no name of its own.
fn destination(cx: &Context, target: &Path) -> Result<(Dir, String)> {
    let Some(name) = target.file_name() else {
        return Ok((cx.fs.open_dir(target)?, ".".to_string()));
    };
    let name = name
        .to_str()
        .ok_or_else(|| CliError::failed(format!("{} is not UTF-8", target.display())))?;
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Ok((cx.fs.open_dir(parent)?, name.to_string()))
}

fn list(args: &CheckoutArgs) -> Result<String> {
    if let Some(path) = &args.from_file {
        return user_files::read(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
    Ok(text)
}

/// Commits and subpaths, each ended by a NUL.
fn pairs(list: &str) -> Result<Vec<(&str, &str)>> {
    let words: Vec<&str> = list.trim_end_matches('\n').split_terminator('\0').collect();
    words
        .chunks(2)
        .map(|pair| match pair {
            [commit, subpath] => Ok((*commit, *subpath)),
            _ => Err(CliError::failed("the list ends with a commit that has no subpath")),
        })
        .collect()
}
