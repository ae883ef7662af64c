//! Differences byte by byte: bsdiff, and copies where the files differ in one place only.

use std::io;

use crate::rollsum::{Match, common_prefix, common_suffix};
use crate::{DeltaError, Result};

/// How a file is made of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteDiff {
    /// A patch as bsdiff makes it, without a header.
    Patch(Vec<u8>),
    /// Pieces of the old file, in the order of the new one, where they do not overlap; the rest
    /// of the new file lies between them.
    Copies(Vec<Match>),
}

/// A change in one place of up to so many bytes is told by copying what is before and behind it.
const SMALL: usize = 1024;
/// How far beyond the bytes that differ bsdiff looks for something similar.
const CONTEXT: usize = 64 * 1024;
/// Two lengths and where to go on, eight bytes each.
const CONTROL: usize = 24;
const SIGN: u64 = 1 << 63;

/// Finds the difference between two files.
///
/// Equal beginnings and ends are left out of the search, which otherwise takes time and sixteen
/// times the length of `old` in memory.
pub fn byte_diff(old: &[u8], new: &[u8]) -> Result<ByteDiff> {
    let (prefix, suffix) = equal_ends(old, new);
    if let Some(copies) = around(old.len(), new.len(), prefix, suffix) {
        return Ok(copies);
    }
    // A file of two times the context gains nothing from being cut.
    let head = prefix.saturating_sub(CONTEXT);
    let tail = suffix.saturating_sub(CONTEXT);
    let (from, to) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut patch = Vec::new();
    if head > 0 {
        push_equal(&mut patch, head);
    }
    let start = patch.len();
    bsdiff::diff(from, to, &mut patch).map_err(DeltaError::Patch)?;
    if tail > 0 {
        lead_to(&mut patch[start..], from.len());
        push_equal(&mut patch, tail);
    }
    Ok(ByteDiff::Patch(patch))
}

/// As [`byte_diff`] where the files differ in one place only, `None` otherwise; costs no more
/// than reading them.
pub fn byte_copies(old: &[u8], new: &[u8]) -> Option<ByteDiff> {
    let (prefix, suffix) = equal_ends(old, new);
    around(old.len(), new.len(), prefix, suffix)
}

fn equal_ends(old: &[u8], new: &[u8]) -> (usize, usize) {
    let prefix = common_prefix(old, new);
    (prefix, common_suffix(&old[prefix..], &new[prefix..]))
}

fn around(old_len: usize, new_len: usize, prefix: usize, suffix: usize) -> Option<ByteDiff> {
    if new_len - prefix - suffix > SMALL || prefix + suffix == 0 {
        return None;
    }
    let before = Match { new_start: 0, old_start: 0, len: prefix };
    let behind = Match { new_start: new_len - suffix, old_start: old_len - suffix, len: suffix };
    Some(ByteDiff::Copies([before, behind].into_iter().filter(|copy| copy.len > 0).collect()))
}

/// Appends what says that the next `len` bytes are those of the old file.
fn push_equal(patch: &mut Vec<u8>, len: usize) {
    patch.extend_from_slice(&(len as u64).to_le_bytes());
    patch.extend_from_slice(&[0; CONTROL - 8]);
    patch.resize(patch.len() + len, 0);
}

/// Changes the last jump of a patch so that it leads to `wanted` in the old file.
fn lead_to(patch: &mut [u8], wanted: usize) {
    let number = |at: usize, patch: &[u8]| {
        patch.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    let (mut at, mut position) = (0, 0_i64);
    while at + CONTROL <= patch.len() {
        let (mixed, copied) = (number(at, patch), number(at + 8, patch));
        let jump = number(at + 16, patch);
        position += mixed as i64;
        let next = at + CONTROL + mixed as usize + copied as usize;
        if next >= patch.len() {
            let jump = wanted as i64 - position;
            let magnitude = jump.unsigned_abs();
            let value = if jump < 0 { magnitude | SIGN } else { magnitude };
            patch[at + 16..at + CONTROL].copy_from_slice(&value.to_le_bytes());
            return;
        }
        let magnitude = (jump & !SIGN) as i64;
        position += if jump & SIGN == 0 { magnitude } else { -magnitude };
        at = next;
    }
}

/// Applies a patch to `old`; what comes out has `size` bytes. Memory is bounded by the length of
/// the patch, of which every byte makes at most one.
///
/// # Errors
/// A patch that reaches beyond the old file, is cut, or makes another size.
pub fn apply_patch(old: &[u8], patch: &[u8], size: u64) -> Result<Vec<u8>> {
    let mut new = Vec::new();
    bsdiff::patch(old, &mut &patch[..], &mut new).map_err(DeltaError::Patch)?;
    if new.len() as u64 == size {
        return Ok(new);
    }
    let problem = format!("it makes {} bytes instead of {size}", new.len());
    Err(DeltaError::Patch(io::Error::new(io::ErrorKind::InvalidData, problem)))
}
