//! `remote refs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use trefoil_repo::remote::find_remote;
use trefoil_repo::summary::Summary;

use super::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::fetching::{HttpArgs, RemotePull};

/// Arguments of `remote refs`.
#[derive(Args, Debug)]
pub struct RemoteRefsArgs {
    /// The remote
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Show revisions in listing
    #[arg(short, long)]
    revision: bool,
    /// Use custom cache dir
    #[arg(long, value_name = "PATH")]
    cache_dir: Option<PathBuf>,
    /// Print the refs as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `remote refs`.
pub fn run(args: RemoteRefsArgs, cx: &Context) -> Result<()> {
    let place = Place::open(cx, None)?;
    let name = args.name.ok_or_else(|| CliError::usage("NAME must be specified"))?;
    let remote = find_remote(&place.repo, place.remotes_d.as_ref(), &name)?;
    let (place, remote) = (&place, &remote);
    let http = HttpArgs { cache_dir: args.cache_dir, ..HttpArgs::default() };
    let found = RemotePull { cx, place, remote, url: None, http: &http }.summary()?;
    let missing = || CliError::failed("Remote refs not available; server has no summary file");
    let summary = Summary::parse(&found.ok_or_else(missing)?.bytes)?;
    let refs: BTreeMap<_, _> = summary.refs.into_iter().map(|r| (r.name, r.commit)).collect();
    if args.json {
        let refs: BTreeMap<_, _> = refs.iter().map(|(name, c)| (name, c.to_hex())).collect();
        return cx.ui.json(&refs);
    }
    for (refname, commit) in refs {
        match args.revision {
            true => cx.ui.line(format_args!("{name}:{refname}\t{commit}"))?,
            false => cx.ui.line(format_args!("{name}:{refname}"))?,
        }
    }
    Ok(())
}
