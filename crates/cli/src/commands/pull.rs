//! `pull`: fetches commits from a remote; so far from `file://` ones.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use trefoil_format::name::RemoteName;
use trefoil_repo::pull::{self, PullOptions, PullRef};
use trefoil_repo::remote::{Remote, find_remote, open_url};
use trefoil_repo::traverse::Depth;
use trefoil_repo::verify::{RemoteVerifier, VerifyOverrides};

use crate::commands::pull_local::{self, DeltaArgs, SyncArgs};
use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::keys;

/// Arguments of `pull`.
#[derive(Args, Debug)]
pub struct PullArgs {
    /// Remote, then refs, each with an optional @COMMIT; or REMOTE:REF
    #[arg(value_name = "REMOTE [BRANCH...]")]
    arguments: Vec<String>,
    /// Fetch only the commit metadata
    #[arg(long)]
    commit_metadata_only: bool,
    #[command(flatten)]
    sync: SyncArgs,
    #[command(flatten)]
    deltas: DeltaArgs,
    /// Write refs suitable for a mirror and fetches all refs if none provided
    #[arg(long)]
    mirror: bool,
    /// Only pull the provided subpath(s)
    #[arg(long, value_name = "PATH")]
    subpath: Vec<String>,
    /// Verify checksums of local sources (always enabled for HTTP pulls)
    #[arg(long)]
    untrusted: bool,
    /// Reject regular files with mode outside of 0775 (world writable, suid, etc.)
    #[arg(long)]
    bareuseronly_files: bool,
    /// Traverse DEPTH parents (-1=infinite) (default: 0)
    #[arg(long, value_name = "DEPTH", default_value_t = 0)]
    depth: i64,
    /// Pull objects from this URL instead of the one from the remote config
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Require fetched commits to have newer timestamps
    #[arg(short = 'T', long)]
    timestamp_check: bool,
    /// Require fetched commits to have newer timestamps than given rev
    #[arg(long, value_name = "REV")]
    timestamp_check_from_rev: Option<String>,
    /// Do not verify commit bindings
    #[arg(long)]
    disable_verify_bindings: bool,
    #[command(flatten)]
    http: HttpArgs,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// Options for fetching over HTTP: without a meaning for `file://`, where `ostree` takes them
/// too.
#[derive(Args, Debug)]
struct HttpArgs {
    #[arg(long, hide = true)]
    cache_dir: Option<PathBuf>,
    #[arg(long, hide = true)]
    http_trusted: bool,
    #[arg(long, hide = true)]
    http_header: Vec<String>,
    #[arg(long, hide = true)]
    update_frequency: Option<i64>,
    #[arg(long, hide = true)]
    network_retries: Option<i64>,
    #[arg(long, hide = true)]
    low_speed_limit_bytes: Option<i64>,
    #[arg(long, hide = true)]
    low_speed_time_seconds: Option<i64>,
    #[arg(long, hide = true)]
    max_outstanding_fetcher_requests: Option<i64>,
    #[arg(long, hide = true)]
    disable_retry_on_network_errors: bool,
    #[arg(long, hide = true)]
    append_user_agent: Option<String>,
    #[arg(short = 'L', long, hide = true)]
    localcache_repo: Vec<PathBuf>,
    #[arg(long, hide = true)]
    dry_run: bool,
}

/// Runs `pull`.
pub fn run(args: PullArgs, cx: &Context) -> Result<()> {
    if args.http.dry_run && !args.deltas.require_static_deltas {
        return Err(CliError::failed("--dry-run requires --require-static-deltas"));
    }
    args.deltas.check()?;
    let [first, refs @ ..] = args.arguments.as_slice() else {
        return Err(CliError::usage("REMOTE must be specified"));
    };
    let (name, mut refs) = match first.split_once(':') {
        Some((remote, name)) => (remote, vec![PullRef::from(name)]),
        None => (first.as_str(), refs.iter().map(|r| pull_ref(r)).collect::<Result<_>>()?),
    };
    let mut place = Place::open(cx, None)?;
    if args.sync.disable_fsync {
        place.repo.set_fsync(false);
    }
    let remote = find_remote(&place.repo, place.remotes_d.as_ref(), name)?;
    if refs.is_empty() && !args.mirror {
        refs = configured(&remote)?;
    }
    let url = match &args.url {
        Some(url) => url.clone(),
        None => remote.url()?,
    };
    if !url.starts_with("file://") {
        return Err(CliError::not_yet(format!("pulling from {url}: only file:// is there; HTTP")));
    }
    remote.check_pullable()?;
    let source = open_url(&cx.fs, &url)?;
    let mut options = options(&args, &place, name, refs)?;
    options.verifier = verifier(&place, &remote)?;
    let progress = cx.progress("pull");
    let stats = pull::pull_local(&place.repo, &source, &options)?;
    drop(progress);
    cx.refs_changed(&place.repo)?;
    pull_local::print(cx, &stats, args.json)
}

fn options(args: &PullArgs, place: &Place, name: &str, refs: Vec<PullRef>) -> Result<PullOptions> {
    let from = args.timestamp_check_from_rev.as_deref();
    Ok(PullOptions {
        refs,
        depth: Depth::from_arg(args.depth),
        remote: match args.mirror {
            true => None,
            false => Some(RemoteName::new(name)?),
        },
        commit_only: args.commit_metadata_only,
        trusted: !args.untrusted,
        bareuseronly_files: args.bareuseronly_files,
        verify_bindings: !args.disable_verify_bindings,
        subdirs: args.subpath.clone(),
        timestamp_check: args.timestamp_check,
        timestamp_check_from: from.map(|rev| place.repo.resolve_rev(rev)).transpose()?,
        verifier: None,
    })
}

/// Verifies what the settings of the remote ask for.
pub fn verifier(place: &Place, remote: &Remote) -> Result<Option<Arc<RemoteVerifier>>> {
    let sources = keys::sources(place.remotes_d.as_ref());
    let overrides = VerifyOverrides::default();
    let verifier = RemoteVerifier::new(&place.repo, remote, &sources, &overrides)?;
    Ok(Some(Arc::new(verifier)))
}

/// `REF` or `REF@COMMIT`.
fn pull_ref(text: &str) -> Result<PullRef> {
    match text.rsplit_once('@') {
        None => Ok(PullRef::from(text)),
        Some((name, commit)) => {
            Ok(PullRef { name: name.to_string(), commit: Some(commit.parse()?) })
        }
    }
}

/// The branches that the remote is configured with.
fn configured(remote: &Remote) -> Result<Vec<PullRef>> {
    let branches = remote.list("branches");
    if branches.is_empty() {
        let text = format!("No configured branches for remote {}", remote.name);
        return Err(CliError::failed(text));
    }
    Ok(branches.iter().map(|name| PullRef::from(name.as_str())).collect())
}
