//! `static-delta reindex`.

use clap::Args;
use trefoil_format::checksum::Checksum;
use trefoil_repo::delta::{ReindexPlan, plan_reindex, reindex_deltas};

use crate::context::Context;
use crate::error::Result;

/// Arguments of `static-delta reindex`.
#[derive(Args, Debug)]
pub struct ReindexArgs {
    /// Only update delta index to revision REV
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Only say which indexes would be written and removed
    #[arg(long)]
    dry_run: bool,
}

/// Runs `static-delta reindex`. As with `ostree`, REV has to be a whole checksum.
pub fn run(args: ReindexArgs, cx: &Context) -> Result<()> {
    let only = args.to.as_deref().map(Checksum::from_hex).transpose()?;
    let repo = cx.open_repo()?;
    match args.dry_run {
        true => print_plan(cx, &plan_reindex(&repo, only.as_ref())?),
        false => Ok(reindex_deltas(&repo, only.as_ref())?),
    }
}

fn print_plan(cx: &Context, plan: &ReindexPlan) -> Result<()> {
    if plan.config.is_some() {
        cx.ui.line("core.indexed-deltas would be true")?;
    }
    for (to, index) in &plan.written {
        let count = index.0.len();
        cx.ui.line(format_args!("index of {to} would be written: {count} deltas"))?;
    }
    for to in &plan.removed {
        cx.ui.line(format_args!("index of {to} would be removed"))?;
    }
    match (plan.written.len(), plan.removed.len()) {
        (0, 0) => cx.ui.line("all indexes are up to date"),
        _ => Ok(()),
    }
}
