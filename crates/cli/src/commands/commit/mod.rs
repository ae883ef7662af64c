//! `commit`: records directories as a new commit.

pub mod attributes;
mod message;
pub mod metadata;
mod plan;
mod tar;
mod told;
mod tree;

use std::path::PathBuf;

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;
use trefoil_repo::commit::{CommitRequest, is_unchanged, write_signed_commit};
use trefoil_repo::{Repo, Transaction, TransactionStats};

use crate::context::Context;
use crate::dates;
use crate::environment;
use crate::error::{CliError, Result};
use crate::keyvalue;
use crate::signing::SignArgs;

/// Arguments of `commit`.
#[derive(Args, Debug)]
pub struct CommitArgs {
    /// Directory to commit where no --tree is given; the current one without
    #[arg(value_name = "[PATH]")]
    path: Option<PathBuf>,
    /// Parent commit checksum, or "none"
    #[arg(long, value_name = "COMMIT")]
    parent: Option<String>,
    #[command(flatten)]
    message: message::MessageArgs,
    /// Branch
    #[arg(short, long, value_name = "BRANCH")]
    branch: Option<String>,
    /// Create a commit without writing a ref
    #[arg(long)]
    orphan: bool,
    #[command(flatten)]
    metadata: metadata::MetadataArgs,
    #[command(flatten)]
    tree: tree::TreeArgs,
    /// If the contents are unchanged from previous commit, do nothing
    #[arg(long)]
    skip_if_unchanged: bool,
    /// Output more information in a KEY: VALUE format
    #[arg(long)]
    table_output: bool,
    /// Only say what would be committed
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// Specify how to invoke fsync()
    #[arg(long, value_name = "POLICY", value_parser = keyvalue::boolean)]
    fsync: Option<bool>,
    #[arg(long, hide = true)]
    disable_fsync: bool,
    /// Override the timestamp of the commit
    #[arg(long, value_name = "TIMESTAMP")]
    timestamp: Option<String>,
    #[command(flatten)]
    sign: SignArgs,
    /// Sign the commit with the secret keys in this file
    #[arg(long, value_name = "NAME")]
    sign_from_file: Vec<PathBuf>,
    #[command(flatten)]
    missing: NotYet,
}

/// Options of `ostree commit` that are not there yet.
#[derive(Args, Debug)]
struct NotYet {
    #[arg(long, hide = true)]
    generate_composefs_metadata: bool,
}

impl NotYet {
    fn refuse(&self) -> Result<()> {
        match self.generate_composefs_metadata {
            true => Err(CliError::not_yet("'commit --generate-composefs-metadata'")),
            false => Ok(()),
        }
    }
}

impl CommitArgs {
    /// Whether the same options give the same commit later: not where it has the time at which it
    /// is made, what an editor says, or sizes that only packing tells.
    fn foretells_checksum(&self) -> bool {
        let timed = self.timestamp.is_some() || environment::text("SOURCE_DATE_EPOCH").is_some();
        timed && !self.message.is_edited() && !self.tree.generate_sizes
    }
}

/// Runs `commit`.
pub fn run(args: CommitArgs, cx: &Context) -> Result<()> {
    args.missing.refuse()?;
    args.tree.check(args.path.as_deref())?;
    let mut repo = cx.open_repo()?;
    if args.branch.is_none() && !args.orphan {
        let text = "A branch must be specified with --branch, or use --orphan";
        return Err(CliError::failed(text));
    }
    if args.disable_fsync || args.fsync == Some(false) {
        repo.set_fsync(false);
    }
    let branch: Option<Refspec> = args.branch.as_deref().map(str::parse).transpose()?;
    let parent = parent(&args, &repo)?;
    let metadata = args.metadata.collect(&repo, parent.as_ref())?;
    let detached = args.metadata.detached()?;
    let signers = args.sign.signers(cx, &args.sign_from_file)?;
    let (subject, body) = match args.dry_run {
        false => args.message.read(args.branch.as_deref())?,
        true => args.message.given()?,
    };
    let timestamp = timestamp(&args)?;
    let progress = cx.progress("commit");
    let transaction = match args.dry_run {
        false => repo.begin()?,
        true => repo.rehearse(),
    };
    let imported = args.tree.import(cx, &transaction, args.path.as_deref(), parent.as_ref())?;
    let tree = imported.tree;
    if let Some(parent) = parent.filter(|_| args.skip_if_unchanged)
        && is_unchanged(&repo, &parent, &tree)?
    {
        if args.dry_run {
            drop(progress);
            return plan::print(&args, cx, &transaction, tree, Some(parent), None);
        }
        let stats = transaction.stats();
        imported.save_index(cx, &repo)?;
        drop(progress);
        return print(&args, cx, &parent, &stats);
    }
    let metadata = args.metadata.bind(&transaction, metadata, args.branch.as_deref(), &tree)?;
    let request = CommitRequest { tree, parent, subject, body, metadata, detached, timestamp };
    let checksum =
        write_signed_commit(&transaction, request, |bytes, detached| match args.dry_run {
            false => signers.sign(&repo, bytes, detached),
            true => signers.try_sign(&repo, bytes, detached).map(drop),
        })?;
    if args.dry_run {
        drop(progress);
        return plan::print(&args, cx, &transaction, tree, parent, Some(checksum));
    }
    if let Some(branch) = branch {
        transaction.set_ref(branch, Some(checksum));
    }
    let stats = finish(transaction)?;
    imported.save_index(cx, &repo)?;
    cx.refs_changed(&repo)?;
    drop(progress);
    print(&args, cx, &checksum, &stats)
}

/// Commits the transaction, unless the test suite of libostree wants to see it die here: then
/// what is staged stays behind, as after a crash.
fn finish(transaction: Transaction<'_>) -> Result<TransactionStats> {
    if environment::has_flag("OSTREE_REPO_TEST_ERROR", "pre-commit") {
        std::mem::forget(transaction);
        return Err(CliError::failed("OSTREE_REPO_TEST_ERROR_PRE_COMMIT specified"));
    }
    Ok(transaction.commit()?)
}

fn parent(args: &CommitArgs, repo: &Repo) -> Result<Option<Checksum>> {
    match (args.parent.as_deref(), args.branch.as_deref()) {
        (Some("none"), _) => Ok(None),
        (Some(parent), _) => Ok(Some(parent.parse()?)),
        (None, Some(branch)) if !args.orphan => Ok(repo.resolve_rev_opt(branch)?),
        (None, _) => Ok(None),
    }
}

fn timestamp(args: &CommitArgs) -> Result<u64> {
    match &args.timestamp {
        None => dates::commit_time(),
        // Before 1970 the number wraps around, as libostree stores it.
        Some(text) => Ok(dates::parse(text)?.cast_unsigned()),
    }
}

/// What was done, for `--json`.
#[derive(Debug, serde::Serialize)]
struct CommitReport {
    commit: String,
    #[serde(flatten)]
    objects: ObjectsView,
}

/// The objects of a commit that was made, or would be, for `--json`.
#[derive(Debug, serde::Serialize)]
struct ObjectsView {
    metadata_total: u64,
    metadata_written: u64,
    content_total: u64,
    content_written: u64,
    content_cache_hits: u64,
    content_bytes_written: u64,
}

impl From<&TransactionStats> for ObjectsView {
    fn from(stats: &TransactionStats) -> Self {
        ObjectsView {
            metadata_total: stats.metadata_objects_total,
            metadata_written: stats.metadata_objects_written,
            content_total: stats.content_objects_total,
            content_written: stats.content_objects_written,
            content_cache_hits: stats.content_cache_hits,
            content_bytes_written: stats.content_bytes_written,
        }
    }
}

fn print(
    args: &CommitArgs,
    cx: &Context,
    commit: &Checksum,
    stats: &TransactionStats,
) -> Result<()> {
    let objects = ObjectsView::from(stats);
    if args.json {
        return cx.ui.json(&CommitReport { commit: commit.to_hex(), objects });
    }
    if !args.table_output {
        return cx.ui.line(commit);
    }
    cx.ui.text(format_args!(
        "Commit: {}\nMetadata Total: {}\nMetadata Written: {}\nContent Total: {}\n\
         Content Written: {}\nContent Cache Hits: {}\nContent Bytes Written: {}\n",
        commit,
        objects.metadata_total,
        objects.metadata_written,
        objects.content_total,
        objects.content_written,
        objects.content_cache_hits,
        objects.content_bytes_written,
    ))
}
