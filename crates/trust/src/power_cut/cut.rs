//! The moments at which the power goes.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::disk;
use super::log::{Entry, Log, Write};
use super::random::Random;
use super::subset::Piece;
use crate::Result;

/// The disk at a flush, and what was written until the next one.
pub struct Cut {
    /// Entries that are done.
    pub done: usize,
    /// Which flush of the run it is.
    pub number: usize,
    /// What came after them.
    pub writes: Vec<Write>,
    /// The verb had returned, and promised that all was durable.
    pub returned: bool,
}

/// All states of the disk at a flush, in the entries `run` of the log. `returned` is how many there
/// were when the verb returned.
pub fn cuts(log: &Log, run: Range<usize>, returned: usize, durable: bool) -> Vec<Cut> {
    let entries = &log.entries;
    let is_flush = |at: &usize| entries[*at] == Entry::Flush;
    let last_before_end = (0..returned).rev().find(is_flush);
    let promised = last_before_end.map_or(run.start, |at| at + 1).max(run.start);
    let flushes = run.clone().filter(is_flush);
    let begins: Vec<usize> = [run.start].into_iter().chain(flushes.map(|at| at + 1)).collect();
    let ends = begins.iter().skip(1).copied().chain([run.end]);
    let mut cuts: Vec<Cut> = Vec::new();
    for (number, (done, end)) in begins.iter().copied().zip(ends).enumerate() {
        let writes = entries[done..end].iter().filter_map(|entry| match entry {
            Entry::Write(write) => Some(*write),
            Entry::Flush => None,
        });
        let cut =
            Cut { done, number, writes: writes.collect(), returned: durable && done >= promised };
        // Two flushes with nothing between them are one.
        match cuts.last_mut() {
            Some(last) if last.writes.is_empty() => *last = cut,
            _ => cuts.push(cut),
        }
    }
    cuts
}

/// Leaves as many as are to be tried, by chance.
pub fn limit(cuts: &mut Vec<Cut>, most: usize, random: &mut Random) {
    while cuts.len() > most.max(1) {
        cuts.remove(random.below(cuts.len() as u64) as usize);
    }
}

/// Makes the disk `image` from the one at the flush, `now`.
pub fn make_cut(log: &Log, cut: &Cut, pieces: &[Piece], now: &Path, image: &Path) -> Result<File> {
    let disk = disk::copy(now, image)?;
    for (at, skip, len) in pieces {
        log.apply(&disk, &cut.writes[*at], *skip, *len)?;
    }
    Ok(disk)
}
