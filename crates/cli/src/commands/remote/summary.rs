//! `remote summary`.

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::remote::find_remote;

use super::Place;
use crate::commands::pull::print_verified;
use crate::commands::summary::{self, Part};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::fetching::{HttpArgs, RemotePull};

/// Arguments of `remote summary`.
#[derive(Args, Debug)]
pub struct RemoteSummaryArgs {
    /// The remote
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Use custom cache dir
    #[arg(long, value_name = "PATH")]
    cache_dir: Option<PathBuf>,
    /// Show raw variant data
    #[arg(long)]
    raw: bool,
    /// List the available metadata keys
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print string value of metadata key
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `remote summary`.
pub fn run(args: RemoteSummaryArgs, cx: &Context) -> Result<()> {
    let place = Place::open(cx, None)?;
    let name = args.name.ok_or_else(|| CliError::usage("NAME must be specified"))?;
    let remote = find_remote(&place.repo, place.remotes_d.as_ref(), &name)?;
    let (place, remote) = (&place, &remote);
    let http = HttpArgs { cache_dir: args.cache_dir, ..HttpArgs::default() };
    let found = RemotePull { cx, place, remote, url: None, http: &http }.summary()?;
    let found = found.ok_or_else(|| CliError::failed("Remote server has no summary file"))?;
    let part = match &args.print_metadata_key {
        _ if args.list_metadata_keys => Part::Keys,
        Some(key) => Part::Value(key),
        None if args.raw => Part::Raw,
        None if args.json => Part::Json,
        None => Part::All,
    };
    let all = matches!(part, Part::All);
    summary::print(cx, &found.bytes, part)?;
    if all && !found.report.gpg.is_empty() {
        cx.ui.line("")?;
        print_verified(cx, &found.report.gpg)?;
    }
    Ok(())
}
