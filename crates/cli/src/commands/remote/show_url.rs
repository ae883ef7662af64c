//! `remote show-url`.

use clap::Args;
use trefoil_repo::remote::find_remote;

use super::Place;
use crate::context::Context;
use crate::error::{CliError, Result};

/// Arguments of `remote show-url`.
#[derive(Args, Debug)]
pub struct ShowUrlArgs {
    /// The remote
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the address as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `remote show-url`.
pub fn run(args: ShowUrlArgs, cx: &Context) -> Result<()> {
    let place = Place::open(cx, None)?;
    let name = args.name.ok_or_else(|| CliError::usage("NAME must be specified"))?;
    let url = find_remote(&place.repo, place.remotes_d.as_ref(), &name)?.url()?;
    if args.json { cx.ui.json(&url) } else { cx.ui.line(url) }
}
