//! `pull-local`: copies commits from a repository on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use trefoil_format::name::RemoteName;
use trefoil_repo::pull::{self, DirTransport, PullOptions, PullRef, PullSource, PullStats};
use trefoil_repo::remote::find_remote;
use trefoil_repo::traverse::Depth;
use trefoil_repo::verify::{RemoteVerifier, VerifyOverrides};
use trefoil_repo::{Repo, RepoMode};

use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{keys, keyvalue, plans, size};

/// Arguments of `pull-local`.
#[derive(Args, Debug)]
pub struct PullLocalArgs {
    /// Repository to copy from, then refs or commits; without any, all refs
    #[arg(value_name = "SRC_REPO [REFS...]")]
    arguments: Vec<String>,
    /// Fetch only the commit metadata
    #[arg(long)]
    commit_metadata_only: bool,
    /// Add REMOTE to refspec
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    #[command(flatten)]
    sync: SyncArgs,
    /// Verify checksums of local sources (always enabled for HTTP pulls)
    #[arg(long)]
    untrusted: bool,
    /// Reject regular files with mode outside of 0775 (world writable, suid, etc.)
    #[arg(long)]
    bareuseronly_files: bool,
    /// Do not verify commit bindings
    #[arg(long)]
    disable_verify_bindings: bool,
    /// Traverse DEPTH parents (-1=infinite) (default: 0)
    #[arg(long, value_name = "DEPTH", default_value_t = 0)]
    depth: i64,
    #[command(flatten)]
    deltas: DeltaArgs,
    /// GPG verify commits (must specify --remote)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = keyvalue::boolean)]
    gpg_verify: bool,
    /// GPG verify summary (must specify --remote)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = keyvalue::boolean)]
    gpg_verify_summary: bool,
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// How writes reach the disk.
#[derive(Args, Debug)]
pub struct SyncArgs {
    /// Do not invoke fsync()
    #[arg(long)]
    pub disable_fsync: bool,
    /// Accepted; there is one sync for all objects
    #[arg(long)]
    pub per_object_fsync: bool,
}

/// What becomes of static deltas.
#[derive(Args, Debug)]
pub struct DeltaArgs {
    /// Do not use static deltas
    #[arg(long)]
    pub disable_static_deltas: bool,
    /// Require static deltas
    #[arg(long)]
    pub require_static_deltas: bool,
}

/// What a pull brought over, for `--json`.
#[derive(Debug, Serialize)]
struct PullView {
    metadata_imported: u64,
    content_imported: u64,
    linked: u64,
    delta_parts_fetched: u64,
    metadata_fetched: u64,
    content_fetched: u64,
    bytes_transferred: u64,
    requests: u64,
    content_bytes_written: u64,
    refs: Vec<(String, String)>,
}

/// Runs `pull-local`.
pub fn run(args: PullLocalArgs, cx: &Context) -> Result<()> {
    let mut place = Place::open(cx, None)?;
    let [source, refs @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("DESTINATION must be specified"));
    };
    if args.sync.disable_fsync {
        place.repo.set_fsync(false);
    }
    let repo = &place.repo;
    let source = cx.open_repo_at(&PathBuf::from(source))?;
    let options = PullOptions {
        refs: refs.iter().map(|name| PullRef::from(name.as_str())).collect(),
        depth: Depth::from_arg(args.depth),
        remote: args.remote.as_deref().map(RemoteName::new).transpose()?,
        commit_only: args.commit_metadata_only,
        trusted: !args.untrusted,
        bareuseronly_files: args.bareuseronly_files,
        verify_bindings: !args.disable_verify_bindings,
        verifier: verifier(&args, &place)?,
        require_static_deltas: args.deltas.require_static_deltas,
        dry_run: args.dry_run,
        ..PullOptions::default()
    };
    if args.dry_run && !args.deltas.require_static_deltas {
        let progress = cx.progress("pull");
        let plan = pull::plan_pull_local(repo, &source, &options)?;
        drop(progress);
        return match args.json {
            true => cx.ui.json(&plans::PullView::from(&plan)),
            false => plans::pull(cx, &plan),
        };
    }
    let started = Instant::now();
    let progress = cx.progress("pull");
    let stats = match args.deltas.require_static_deltas {
        false => pull::pull_local(repo, &source, &options)?,
        true => pull_deltas(repo, &source, &options)?,
    };
    drop(progress);
    if args.dry_run {
        return plans::forecast(cx, &stats, args.json);
    }
    cx.refs_changed(repo)?;
    print(cx, &stats, started.elapsed(), args.json)
}

/// Fetches from the directory as if it were a web server: a copy knows no deltas.
fn pull_deltas(repo: &Repo, source: &Repo, options: &PullOptions) -> Result<PullStats> {
    if repo.mode() == RepoMode::Archive {
        return Err(CliError::failed("Can't use static deltas in an archive repo"));
    }
    let transport = DirTransport::new(source.dir().try_clone()?);
    let source = PullSource {
        transport: &transport,
        localcache: &[],
        summary: None,
        cache: None,
        collection_id: None,
        http_trusted: false,
        progress: None,
    };
    Ok(pull::pull_remote(repo, &source, options)?)
}

/// Only what the options ask for is verified, whatever the settings of the remote say.
fn verifier(args: &PullLocalArgs, place: &Place) -> Result<Option<Arc<RemoteVerifier>>> {
    if !args.gpg_verify && !args.gpg_verify_summary {
        return Ok(None);
    }
    let Some(name) = &args.remote else {
        return Err(CliError::failed("Must specify remote name to enable gpg verification"));
    };
    let remote = find_remote(&place.repo, place.remotes_d.as_ref(), name)?;
    let overrides = VerifyOverrides {
        gpg: Some(args.gpg_verify),
        gpg_summary: Some(args.gpg_verify_summary),
        no_sign: true,
    };
    let sources = keys::sources(place.remotes_d.as_ref());
    let verifier = RemoteVerifier::new(&place.repo, &remote, &sources, &overrides)?;
    Ok(Some(Arc::new(verifier)))
}

/// The closing line of a pull, which took `elapsed`.
pub fn print(cx: &Context, stats: &PullStats, elapsed: Duration, json: bool) -> Result<()> {
    if json {
        let refs = stats.refs.iter().map(|(spec, c)| (spec.to_string(), c.to_hex()));
        return cx.ui.json(&PullView {
            metadata_imported: stats.metadata_imported,
            content_imported: stats.content_imported,
            linked: stats.linked,
            delta_parts_fetched: stats.delta_parts_fetched,
            metadata_fetched: stats.metadata_fetched,
            content_fetched: stats.content_fetched,
            bytes_transferred: stats.bytes_transferred,
            requests: stats.requests,
            content_bytes_written: stats.content_bytes_written,
            refs: refs.collect(),
        });
    }
    let written = size::words(stats.content_bytes_written);
    let (metadata, content) = (stats.metadata_imported, stats.content_imported);
    if stats.requests == 0 {
        let text = format_args!(
            "{metadata} metadata, {content} content objects imported; {written} content written"
        );
        return cx.ui.line(text);
    }
    let loose = (stats.metadata_fetched, stats.content_fetched);
    let mut text = match stats.delta_parts_fetched {
        0 => format!("{} metadata, {} content objects fetched", loose.0, loose.1),
        parts => format!("{parts} delta parts, {} loose fetched", loose.0 + loose.1),
    };
    if metadata > 0 || content > 0 {
        text.push_str(&format!(" ({metadata} meta, {content} content local)"));
    }
    let (amount, unit) = match stats.bytes_transferred {
        bytes @ ..1024 => (bytes, "B"),
        bytes => (bytes / 1024, "KiB"),
    };
    let seconds = elapsed.as_secs();
    text.push_str(&format!("; {amount} {unit} transferred in {seconds} seconds"));
    cx.ui.line(format_args!("{text}; {written} content written"))
}
