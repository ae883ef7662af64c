//! Splits files where their content says so, so that equal stretches of two files fall into
//! equal chunks. The sum is that of librsync and bup, the places to split are libostree's.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

/// How many bytes the sum looks back.
const WINDOW: usize = 64;
const CHAR_OFFSET: u32 = 31;
/// A chunk ends where these bits of the sum are all set: every 8 KiB on average.
const MASK: u32 = (1 << 13) - 1;
/// Longest chunk in bytes.
const CHUNK_MAX: usize = 32 * 1024;
/// At least so many of a hundred chunks have to match for the file to be put together of them.
const WORTHWHILE: usize = 50;

/// A piece of a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its first byte.
    pub start: usize,
    /// Its length in bytes.
    pub len: usize,
}

/// A piece of a new file that is in the old one too.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// First byte in the new file.
    pub new_start: usize,
    /// First byte in the old file.
    pub old_start: usize,
    /// Length in bytes.
    pub len: usize,
}

/// What two files have in common, chunk by chunk.
#[derive(Clone, Debug, Default)]
pub struct Rollsum {
    /// In the order of the new file; they do not overlap there.
    pub matches: Vec<Match>,
    /// Whether the matches are worth more than sending the file.
    pub worthwhile: bool,
    /// Whether libostree would put the file together of chunks. It compares a chunk only if the
    /// beginnings of both files, as long as the chunk, are equal.
    pub chosen_by_libostree: bool,
}

/// Splits a file. Takes time in proportion to its length.
pub fn chunks(data: &[u8]) -> Vec<Chunk> {
    let mut out = Vec::new();
    let mut start = 0;
    // The end of the next chunk as seen from far before it, where that is known.
    let mut known = None;
    let mut none_left = false;
    while start < data.len() {
        let left = data.len() - start;
        let most = left.min(CHUNK_MAX);
        let len = if none_left {
            most
        } else {
            match next_split(data, start, &mut known) {
                Some(split) => (split - start).min(CHUNK_MAX),
                None => {
                    none_left = true;
                    most
                }
            }
        };
        out.push(Chunk { start, len });
        start += len;
    }
    out
}

/// Where the chunk that begins at `start` ends, `None` where nothing ends it.
///
/// Past the first window the sum depends on the bytes before alone, so that a place found once
/// holds for every later start well before it.
fn next_split(data: &[u8], start: usize, known: &mut Option<usize>) -> Option<usize> {
    let near = (start + WINDOW).min(data.len());
    if let Some(split) = scan(data, start, near).or(known.filter(|split| *split > near)) {
        return Some(split);
    }
    *known = scan(data, start, data.len());
    *known
}

/// The first place up to `end` to split behind, with a sum that begins at `start`.
fn scan(data: &[u8], start: usize, end: usize) -> Option<usize> {
    let mut s1 = WINDOW as u32 * CHAR_OFFSET;
    let mut s2 = (WINDOW * (WINDOW - 1)) as u32 * CHAR_OFFSET;
    for at in start..end {
        let drop = if at >= start + WINDOW { u32::from(data[at - WINDOW]) } else { 0 };
        s1 = s1.wrapping_add(u32::from(data[at])).wrapping_sub(drop);
        s2 = s2.wrapping_add(s1).wrapping_sub(WINDOW as u32 * (drop + CHAR_OFFSET));
        if s2 & MASK == MASK {
            return Some(at + 1);
        }
    }
    None
}

/// Finds the chunks of `new` in `old`.
pub fn matches(old: &[u8], new: &[u8]) -> Rollsum {
    let mut places: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
    for chunk in chunks(old) {
        places.entry(key(old, chunk)).or_default().push(chunk.start);
    }
    let prefix = common_prefix(old, new);
    let new_chunks = chunks(new);
    let mut found = Vec::new();
    let mut as_libostree = 0;
    for chunk in &new_chunks {
        let bytes = &new[chunk.start..chunk.start + chunk.len];
        let starts = places.get(&key(new, *chunk)).map(Vec::as_slice).unwrap_or_default();
        let same = starts.iter().find(|start| old[**start..**start + chunk.len] == *bytes);
        if let Some(old_start) = same {
            found.push(Match { new_start: chunk.start, old_start: *old_start, len: chunk.len });
            as_libostree += usize::from(chunk.len <= prefix);
        }
    }
    let enough = |n: usize| n > 0 && n * 100 / new_chunks.len() >= WORTHWHILE;
    Rollsum {
        worthwhile: enough(found.len()),
        chosen_by_libostree: enough(as_libostree),
        matches: grown(found, old, new),
    }
}

fn key(data: &[u8], chunk: Chunk) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    hasher.write(&data[chunk.start..chunk.start + chunk.len]);
    (chunk.len, hasher.finish())
}

/// Number of bytes at the beginning that are equal.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Number of bytes at the end that are equal.
pub(crate) fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Lets the matches grow into the gaps between them, and joins those that follow each other.
fn grown(found: Vec<Match>, old: &[u8], new: &[u8]) -> Vec<Match> {
    let mut out: Vec<Match> = Vec::with_capacity(found.len());
    for (index, mut next) in found.iter().copied().enumerate() {
        let floor = out.last().map_or(0, |last| last.new_start + last.len);
        let back = common_suffix(&old[..next.old_start], &new[floor..next.new_start]);
        next.new_start -= back;
        next.old_start -= back;
        next.len += back;
        let ceiling = found.get(index + 1).map_or(new.len(), |after| after.new_start);
        let (old_end, new_end) = (next.old_start + next.len, next.new_start + next.len);
        next.len += common_prefix(&old[old_end..], &new[new_end..ceiling]);
        match out.last_mut() {
            Some(last)
                if last.new_start + last.len == next.new_start
                    && last.old_start + last.len == next.old_start =>
            {
                last.len += next.len;
            }
            _ => out.push(next),
        }
    }
    out
}
