//! `pull-local`: copies commits from a repository on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use trefoil_format::name::RemoteName;
use trefoil_repo::pull::{self, PullOptions, PullRef, PullStats};
use trefoil_repo::remote::find_remote;
use trefoil_repo::traverse::Depth;
use trefoil_repo::verify::{RemoteVerifier, VerifyOverrides};

use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{keys, keyvalue, size};

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

/// Static deltas: there are none, so not using them is easy.
#[derive(Args, Debug)]
pub struct DeltaArgs {
    /// Do not use static deltas
    #[arg(long)]
    pub disable_static_deltas: bool,
    #[arg(long, hide = true)]
    pub require_static_deltas: bool,
}

impl DeltaArgs {
    /// Refuses what is not there yet.
    pub fn check(&self) -> Result<()> {
        match self.require_static_deltas {
            true => Err(CliError::not_yet("pulling static deltas")),
            false => Ok(()),
        }
    }
}

/// What a pull brought over, for `--json`.
#[derive(Debug, Serialize)]
struct PullView {
    metadata_imported: u64,
    content_imported: u64,
    linked: u64,
    content_bytes_written: u64,
    refs: Vec<(String, String)>,
}

/// Runs `pull-local`.
pub fn run(args: PullLocalArgs, cx: &Context) -> Result<()> {
    args.deltas.check()?;
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
        ..PullOptions::default()
    };
    let progress = cx.progress("pull");
    let stats = pull::pull_local(repo, &source, &options)?;
    drop(progress);
    cx.refs_changed(repo)?;
    print(cx, &stats, args.json)
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

/// The closing line of a local pull.
pub fn print(cx: &Context, stats: &PullStats, json: bool) -> Result<()> {
    if json {
        let refs = stats.refs.iter().map(|(spec, c)| (spec.to_string(), c.to_hex()));
        return cx.ui.json(&PullView {
            metadata_imported: stats.metadata_imported,
            content_imported: stats.content_imported,
            linked: stats.linked,
            content_bytes_written: stats.content_bytes_written,
            refs: refs.collect(),
        });
    }
    cx.ui.line(format_args!(
        "{} metadata, {} content objects imported; {} content written",
        stats.metadata_imported,
        stats.content_imported,
        size::words(stats.content_bytes_written)
    ))
}
