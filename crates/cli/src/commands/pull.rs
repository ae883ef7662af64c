//! `pull`: fetches commits from a remote.

use std::time::Instant;

use clap::Args;
use trefoil_format::name::RemoteName;
use trefoil_repo::RepoMode;
use trefoil_repo::pull::{PullOptions, PullRef};
use trefoil_repo::remote::{Remote, find_remote};
use trefoil_repo::traverse::Depth;
use trefoil_sign::gpg::SignatureReport;

use crate::commands::pull_local::{self, DeltaArgs, SyncArgs};
use crate::commands::remote::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::fetching::{HttpArgs, RemotePull};
use crate::{dates, plans, ui};

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
    /// Only print information on what will be downloaded (requires static deltas)
    #[arg(long)]
    dry_run: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `pull`.
pub fn run(args: PullArgs, cx: &Context) -> Result<()> {
    if args.dry_run && !args.deltas.require_static_deltas {
        return Err(CliError::failed("--dry-run requires --require-static-deltas"));
    }
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
    remote.check_usable()?;
    if refs.is_empty() {
        refs = configured(&remote);
    }
    if refs.is_empty() && !args.mirror {
        let text = format!("No configured branches for remote {name}");
        return Err(CliError::failed(text));
    }
    if args.deltas.require_static_deltas && place.repo.mode() == RepoMode::Archive {
        return Err(CliError::failed("Can't use static deltas in an archive repo"));
    }
    let options = options(&args, &place, name, refs)?;
    let (place, remote) = (&place, &remote);
    let pull = RemotePull { cx, place, remote, url: args.url.as_deref(), http: &args.http };
    let started = Instant::now();
    let stats = pull.run(&options)?;
    if args.dry_run {
        return plans::forecast(cx, &stats, args.json);
    }
    cx.refs_changed(&place.repo)?;
    // As ostree: for people, not for scripts.
    if ui::has_terminal() && !args.json {
        for report in stats.verified.values().filter(|report| !report.gpg.is_empty()) {
            print_verified(cx, &report.gpg)?;
        }
    }
    pull_local::print(cx, &stats, started.elapsed(), args.json)
}

fn options(args: &PullArgs, place: &Place, name: &str, refs: Vec<PullRef>) -> Result<PullOptions> {
    let from = args.timestamp_check_from_rev.as_deref();
    Ok(PullOptions {
        refs,
        depth: Depth::from_arg(args.depth),
        remote: Some(RemoteName::new(name)?),
        mirror: args.mirror,
        commit_only: args.commit_metadata_only,
        trusted: !args.untrusted,
        bareuseronly_files: args.bareuseronly_files,
        verify_bindings: !args.disable_verify_bindings,
        subdirs: args.subpath.clone(),
        timestamp_check: args.timestamp_check,
        timestamp_check_from: from.map(|rev| place.repo.resolve_rev(rev)).transpose()?,
        disable_static_deltas: args.deltas.disable_static_deltas,
        require_static_deltas: args.deltas.require_static_deltas,
        dry_run: args.dry_run,
        ..PullOptions::default()
    })
}

/// `REF` or `REF@COMMIT`.
fn pull_ref(text: &str) -> Result<PullRef> {
    match text.rsplit_once('@') {
        None => Ok(PullRef::from(text)),
        Some((name, commit)) => {
            let commit = Some(commit.parse()?);
            Ok(PullRef { commit, ..PullRef::from(name) })
        }
    }
}

/// What was found of OpenPGP signatures that had to be there.
pub fn print_verified(cx: &Context, reports: &[SignatureReport]) -> Result<()> {
    let plural = if reports.len() == 1 { "" } else { "s" };
    let count = reports.len();
    cx.ui.line(format_args!("GPG: Verification enabled, found {count} signature{plural}:"))?;
    reports.iter().try_for_each(|report| {
        cx.ui.text(format_args!("\n{}", report.describe("  ", dates::local_c)))
    })
}

/// The branches that the remote is configured with.
fn configured(remote: &Remote) -> Vec<PullRef> {
    remote.list("branches").iter().map(|name| PullRef::from(name.as_str())).collect()
}
