//! `static-delta indexes`.

use clap::Args;
use trefoil_repo::delta::list_delta_indexes;

use crate::context::Context;
use crate::error::Result;

/// Arguments of `static-delta indexes`.
#[derive(Args, Debug)]
pub struct IndexesArgs {
    /// Print the commits as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `static-delta indexes`.
pub fn run(args: IndexesArgs, cx: &Context) -> Result<()> {
    let commits = list_delta_indexes(&cx.open_repo()?)?;
    if args.json {
        return cx.ui.json(&commits.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    if commits.is_empty() {
        return cx.ui.line("(No static deltas indexes)");
    }
    commits.iter().try_for_each(|commit| cx.ui.line(commit))
}
