//! `remote refs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use trefoil_repo::remote::{find_remote, remote_refs};

use super::Place;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `remote refs`.
#[derive(Args, Debug)]
pub struct RemoteRefsArgs {
    /// The remote
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Show revisions in listing
    #[arg(short, long)]
    revision: bool,
    #[arg(long, hide = true)]
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
    let refs = remote_refs(&cx.fs, &remote)?;
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
