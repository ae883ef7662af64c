//! `static-delta list`.

use clap::Args;
use trefoil_repo::delta::list_deltas;

use crate::context::Context;
use crate::error::Result;

/// Arguments of `static-delta list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Print the names as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `static-delta list`.
pub fn run(args: ListArgs, cx: &Context) -> Result<()> {
    let deltas = list_deltas(&cx.open_repo()?)?;
    if args.json {
        return cx.ui.json(&deltas.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    if deltas.is_empty() {
        return cx.ui.line("(No static deltas)");
    }
    deltas.iter().try_for_each(|name| cx.ui.line(name))
}
