//! `static-delta reindex`.

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_repo::delta::reindex_deltas;

use crate::context::Context;
use crate::error::Result;

/// Arguments of `static-delta reindex`.
#[derive(Args, Debug)]
pub struct ReindexArgs {
    /// Only update delta index to revision REV
    #[arg(long, value_name = "REV")]
    to: Option<String>,
}

/// Runs `static-delta reindex`. As with `ostree`, REV has to be a whole checksum.
pub fn run(args: ReindexArgs, cx: &Context) -> Result<()> {
    let only = args.to.as_deref().map(Checksum::from_hex).transpose()?;
    Ok(reindex_deltas(&cx.open_repo()?, only.as_ref())?)
}
