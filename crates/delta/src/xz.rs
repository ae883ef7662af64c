//! The container of LZMA that parts are compressed with.

use std::io::{self, Read, Write};
use std::num::NonZeroU64;

use lzma_rust2::{LzmaOptions, XzOptions, XzReader, XzWriter, XzWriterMt};

use crate::{DeltaError, Limits, Result};

/// What libostree uses.
const PRESET: u32 = 8;
/// Smallest dictionary of LZMA, in bytes.
const DICT_MIN: u32 = 4096;
/// Smallest piece worth a thread of its own, in bytes: smaller ones compress worse.
const BLOCK_MIN: usize = 768 << 10;

/// Decompresses a stream of at most `limit` bytes; memory grows with what comes out, not with
/// what is claimed.
pub(crate) fn decompress(data: &[u8], limit: u64, limits: &Limits) -> Result<Vec<u8>> {
    let reader = XzReader::new_mem_limit(data, false, limits.lzma_kib);
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(DeltaError::Decompress)?;
    if out.len() as u64 > limit { Err(DeltaError::TooLarge { limit }) } else { Ok(out) }
}

/// Compresses as libostree does, but with a dictionary no larger than the data: the tables of
/// the encoder take eleven times as much, and clearing them would take longer than a small
/// delta does.
///
/// With more than one thread, data of at least two [`BLOCK_MIN`] is cut into blocks, which
/// makes it one or two parts in a hundred larger. Every reader of the format knows blocks.
pub(crate) fn compress(data: &[u8], threads: usize) -> Result<Vec<u8>> {
    let blocks = (data.len() / BLOCK_MIN).clamp(1, threads.max(1));
    let write = || match blocks {
        1 => compress_whole(data),
        _ => compress_blocks(data, blocks),
    };
    write().map_err(DeltaError::Compress)
}

fn compress_whole(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut options = XzOptions::with_preset(PRESET);
    options.lzma_options.dict_size = dict_size(data.len(), &options.lzma_options);
    let mut writer = XzWriter::new(Vec::new(), options)?;
    writer.write_all(data)?;
    writer.finish()
}

fn compress_blocks(data: &[u8], blocks: usize) -> io::Result<Vec<u8>> {
    let mut options = XzOptions::with_preset(PRESET);
    let block = data.len().div_ceil(blocks);
    // The writer makes no block smaller than the dictionary.
    let dict = dict_size(block, &options.lzma_options);
    options.lzma_options.dict_size = if dict as usize > block { dict / 2 } else { dict };
    options.set_block_size(NonZeroU64::new(block as u64));
    let mut writer = XzWriterMt::new(Vec::new(), options, blocks as u32)?;
    writer.write_all(data)?;
    writer.finish()
}

fn dict_size(len: usize, options: &LzmaOptions) -> u32 {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    // The format knows powers of two and one and a half times these.
    len.max(DICT_MIN).checked_next_power_of_two().unwrap_or(u32::MAX).min(options.dict_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words and noise, as directory objects are.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()
        };
        let mut out = Vec::with_capacity(len + 32);
        while out.len() < len {
            out.extend_from_slice(b"gcloud_network_security_");
            out.extend_from_slice(&next());
        }
        out.truncate(len);
        out
    }

    /// Guards that a stream in blocks is the same data, is really in blocks, and costs little.
    #[test]
    fn blocks_hold_what_one_stream_holds() {
        for len in [0, 1, 2 * BLOCK_MIN - 1, 2 * BLOCK_MIN + 1] {
            let data = sample(len);
            let (one, two) = (compress(&data, 1).unwrap(), compress(&data, 2).unwrap());
            for packed in [&one, &two] {
                let plain = decompress(packed, len as u64, &Limits::default()).unwrap();
                assert!(plain == data, "{len} bytes");
            }
            assert_eq!(one != two, len >= 2 * BLOCK_MIN, "{len} bytes");
            assert!(two.len() <= one.len() + one.len() / 50, "{} for {}", two.len(), one.len());
        }
    }
}
