//! `remote delete`.

use std::path::PathBuf;

use clap::Args;
use trefoil_repo::remote::{delete_remote, would_delete_remote};

use super::Place;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `remote delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// The remote
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Do nothing if the provided remote does not exist
    #[arg(long)]
    if_exists: bool,
    /// Use sysroot at PATH (overrides --repo)
    #[arg(long, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

/// Runs `remote delete`.
pub fn run(args: DeleteArgs, cx: &Context) -> Result<()> {
    let mut place = Place::open(cx, args.sysroot.as_deref())?;
    let name = args.name.ok_or_else(|| CliError::usage("NAME must be specified"))?;
    if args.dry_run {
        let remotes_d = place.remotes_d.as_ref();
        return match would_delete_remote(&place.repo, remotes_d, &name, args.if_exists)? {
            true => cx.ui.line(format_args!("would delete remote {name}")),
            false => cx.ui.line(format_args!("there is no remote {name}")),
        };
    }
    delete_remote(&mut place.repo, place.remotes_d.as_ref(), &name, args.if_exists)?;
    Ok(())
}
