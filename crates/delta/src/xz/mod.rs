//! The container of LZMA that parts are compressed with.

mod find;
mod model;
mod parse;
mod range;
mod stream;

use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::ops::Range;

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

/// Compresses data of which it is known that nothing is to be gained from some stretches, which
/// ascend. Three times faster than [`compress`] where these are most of it, and as good.
pub(crate) fn compress_noisy(data: &[u8], noise: &[Range<usize>]) -> Vec<u8> {
    stream::wrap(&parse::chunks(data, noise), data.len())
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
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
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

    /// The places of the noise in a [`sample`].
    fn noise(data: &[u8]) -> Vec<Range<usize>> {
        let (word, noise) = (24, 8);
        let starts = (word..data.len().saturating_sub(noise)).step_by(word + noise);
        starts.map(|start| start..start + noise).collect()
    }

    #[track_caller]
    fn assert_same(data: &[u8], noise: &[Range<usize>]) -> usize {
        let packed = compress_noisy(data, noise);
        let plain = decompress(&packed, data.len() as u64, &Limits::default()).unwrap();
        assert!(plain == data, "{} bytes", data.len());
        packed.len()
    }

    /// Guards our own encoder against another one's decoder: lengths at which chunks, dictionary
    /// and container change, and that it packs no worse.
    #[test]
    fn noisy_data_comes_out_again() {
        for len in [0, 1, 3, 4, 5, 600, 4096, 4097, 65_000, 1 << 20] {
            let data = sample(len);
            let ours = assert_same(&data, &noise(&data));
            let theirs = compress(&data, 1).unwrap().len();
            // An empty block is a block.
            assert!(ours <= theirs + theirs / 100 + 16, "{ours} beside {theirs} for {len}");
        }
        // Chunks that end because of what they make, and because of what they take.
        assert_same(&vec![7; 5 << 20], &[]);
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let random: Vec<u8> = (0..300_000).map(|_| next()).collect();
        assert_same(&random, &[]);
        assert_same(&random, &[0..100_000, 100_000..random.len()]);
        // A word again and again is further and further away; long matches follow each other.
        let words: Vec<u8> = (0..200_000_u32).flat_map(|n| (n % 977 * n).to_be_bytes()).collect();
        assert_same(&words, &[10..20, 20..30, 799_000..800_000]);
    }

    proptest::proptest! {
        /// Guards the same for whatever there is: few different bytes, so that matches of all
        /// kinds meet, and noise that is none.
        #[test]
        fn whatever_it_is_comes_out_again(
            data in proptest::collection::vec(0_u8..4, 0..3000),
            cuts in proptest::collection::btree_set(0_usize..3000, 0..20),
        ) {
            let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= data.len()).collect();
            let noise: Vec<_> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            assert_same(&data, &noise);
        }
    }
}
