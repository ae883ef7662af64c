//! `static-delta show`.

use clap::Args;
use serde::Serialize;
use trefoil_fsat::Dir;
use trefoil_repo::delta::{Limits, OpStats, Part, PartSizes, Superblock, read_superblock};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::size;

/// Arguments of `static-delta show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The delta, as `list` prints it, or the path of a file with its parts beside it
    #[arg(value_name = "DELTA")]
    delta: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// A delta, for `--json`. Sizes are in bytes.
#[derive(Debug, Serialize)]
struct DeltaView {
    from: Option<String>,
    to: String,
    signed: bool,
    endianness: &'static str,
    timestamp: u64,
    fallbacks: Vec<FallbackView>,
    parts: Vec<PartView>,
}

#[derive(Debug, Serialize)]
struct FallbackView {
    object: String,
    size: u64,
    usize: u64,
}

#[derive(Debug, Serialize)]
struct PartView {
    objects: usize,
    size: u64,
    usize: u64,
}

/// Runs `static-delta show`.
pub fn run(args: ShowArgs, cx: &Context) -> Result<()> {
    let repo = cx.open_repo()?;
    let delta = args.delta.ok_or_else(|| CliError::failed("DELTA must be specified"))?;
    let (dir, bytes) = super::read_named(cx, &repo, &delta)?;
    let (superblock, signed) = read_superblock(&bytes)?;
    if args.json {
        return cx.ui.json(&view(&superblock, signed.is_some()));
    }
    cx.ui.text(head(&delta, &superblock, signed.is_some()))?;
    for index in 0..superblock.parts.len() {
        cx.ui.text(part_text(&dir, &superblock, index)?)?;
    }
    cx.ui.text(totals(&superblock))
}

fn view(superblock: &Superblock, signed: bool) -> DeltaView {
    let fallbacks = superblock.fallbacks.iter().map(|object| FallbackView {
        object: object.name.to_string(),
        size: object.size,
        usize: object.usize,
    });
    let parts = superblock.parts.iter().map(|part| PartView {
        objects: part.objects.len(),
        size: part.size,
        usize: part.usize,
    });
    DeltaView {
        from: superblock.name.from.map(|from| from.to_hex()),
        to: superblock.name.to.to_hex(),
        signed,
        endianness: superblock.endianness.words(),
        timestamp: superblock.timestamp,
        fallbacks: fallbacks.collect(),
        parts: parts.collect(),
    }
}

fn head(delta: &str, superblock: &Superblock, signed: bool) -> String {
    let from = match superblock.name.from {
        Some(from) => format!("From: {from}"),
        None => "From <scratch>".to_string(),
    };
    let mut text = format!(
        "Delta: {delta}\nSigned: {}\n{from}\nTo: {}\nEndianness: {}\nTimestamp: {}\n\
         Number of parents: {}\nNumber of fallback entries: {}\n",
        if signed { "yes" } else { "no" },
        superblock.name.to,
        superblock.endianness.words(),
        superblock.timestamp,
        superblock.recurse.len(),
        superblock.fallbacks.len()
    );
    for object in &superblock.fallbacks {
        text += &format!("  {}\n", object.name.checksum);
    }
    text += &sizes("Total Fallback", superblock.fallback_sizes());
    text + &format!("Number of parts: {}\n", superblock.parts.len())
}

fn part_text(dir: &Dir, superblock: &Superblock, index: usize) -> Result<String> {
    let header = &superblock.parts[index];
    let bytes = match superblock.inline_part(index) {
        Some(bytes) => bytes,
        None => dir.read(index.to_string(), header.size)?,
    };
    let part = Part::open(header, &bytes, &Limits::default())?;
    let (_, ops) = part.recipes(&header.objects)?;
    let PartSizes { modes, xattrs, payload, ops: ops_len } = part.sizes();
    let OpStats { open_splice_and_close, open, write, .. } = ops;
    let OpStats { set_read_source, unset_read_source, close, bspatch, .. } = ops;
    Ok(format!(
        "PartMeta{index}: nobjects={} size={} usize={}\n\
         PartPayload{index}: nmodes={modes} nxattrs={xattrs} blobsize={payload} opsize={ops_len}\n\
         PartPayloadOps{index}: openspliceclose={open_splice_and_close} open={open} write={write} \
         setread={set_read_source} unsetread={unset_read_source} close={close} bspatch={bspatch}\n",
        header.objects.len(),
        header.size,
        header.usize
    ))
}

fn totals(superblock: &Superblock) -> String {
    let (parts, fallbacks) = (superblock.part_sizes(), superblock.fallback_sizes());
    let all = (parts.0.saturating_add(fallbacks.0), parts.1.saturating_add(fallbacks.1));
    sizes("Total Part", parts) + &sizes("Total", all)
}

fn sizes(what: &str, (size, usize): (u64, u64)) -> String {
    let (words, uwords) = (size::words(size), size::words(usize));
    format!("{what} Size: {size} ({words})\n{what} Uncompressed Size: {usize} ({uwords})\n")
}
