//! What dry runs of pulls say.

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_repo::RefMove;
use trefoil_repo::pull::{DeltaForecast, PullPlan, PullStats};

use crate::context::Context;
use crate::error::Result;
use crate::size;

/// What a copy would bring, for `--json`. Of `refs` only those that would move.
#[derive(Debug, Serialize)]
pub struct PullView {
    dry_run: bool,
    metadata_imported: u64,
    content_imported: u64,
    linked: u64,
    content_bytes_written: u64,
    commits: Vec<String>,
    refs: Vec<RefMoveView>,
}

/// A ref that would move, for `--json`.
#[derive(Debug, Serialize)]
struct RefMoveView {
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
    name: String,
    from: Option<String>,
    to: Option<String>,
}

impl From<&PullPlan> for PullView {
    fn from(plan: &PullPlan) -> Self {
        let stats = &plan.stats;
        let refs = plan.moves.iter().map(|one| RefMoveView {
            collection: one.collection.as_ref().map(ToString::to_string),
            name: one.refspec.to_string(),
            from: one.from.map(|commit| commit.to_hex()),
            to: one.to.map(|commit| commit.to_hex()),
        });
        PullView {
            dry_run: true,
            metadata_imported: stats.metadata_imported,
            content_imported: stats.content_imported,
            linked: stats.linked,
            content_bytes_written: stats.content_bytes_written,
            commits: plan.commits.iter().map(Checksum::to_hex).collect(),
            refs: refs.collect(),
        }
    }
}

/// Says what a copy would bring.
pub fn pull(cx: &Context, plan: &PullPlan) -> Result<()> {
    let stats = &plan.stats;
    for commit in &plan.commits {
        cx.ui.line(format_args!("commit {commit} would be imported"))?;
    }
    moves(cx, &plan.moves)?;
    cx.ui.line(format_args!(
        "{} metadata, {} content objects would be imported, {} of them as links; {} content would \
         be written",
        stats.metadata_imported,
        stats.content_imported,
        stats.linked,
        size::words(stats.content_bytes_written)
    ))
}

/// Says which refs would move.
fn moves(cx: &Context, moves: &[RefMove]) -> Result<()> {
    for RefMove { collection, refspec, to, .. } in moves {
        let name = match collection {
            Some(id) => format!("({id}, {refspec})"),
            None => refspec.to_string(),
        };
        match to {
            Some(to) => cx.ui.line(format_args!("{name} would point to {to}"))?,
            None => cx.ui.line(format_args!("{name} would be deleted"))?,
        }
    }
    Ok(())
}

/// What a delta would cost, for `--json`. Sizes are in bytes.
#[derive(Debug, Serialize)]
struct ForecastView {
    dry_run: bool,
    parts: u64,
    parts_here: u64,
    size: u64,
    size_here: u64,
    unpacked: u64,
}

/// Says what a delta would cost, in libostree's words.
pub fn forecast(cx: &Context, stats: &PullStats, json: bool) -> Result<()> {
    let DeltaForecast { parts, parts_here, size, size_here, unpacked } =
        stats.forecast.unwrap_or_default();
    if json {
        let dry_run = true;
        let view = ForecastView { dry_run, parts, parts_here, size, size_here, unpacked };
        return cx.ui.json(&view);
    }
    cx.ui.line(format_args!(
        "Delta update: {parts_here}/{parts} parts, {}/{}, {} total uncompressed",
        size::words(size_here),
        size::words(size),
        size::words(unpacked)
    ))
}
