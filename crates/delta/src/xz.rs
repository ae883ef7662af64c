//! The container of LZMA that parts are compressed with.

use std::io::{self, Read, Write};

use lzma_rust2::{LzmaOptions, XzOptions, XzReader, XzWriter};

use crate::{DeltaError, Limits, Result};

/// What libostree uses.
const PRESET: u32 = 8;
/// Smallest dictionary of LZMA, in bytes.
const DICT_MIN: u32 = 4096;

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
pub(crate) fn compress(data: &[u8]) -> Result<Vec<u8>> {
    let mut options = XzOptions::with_preset(PRESET);
    options.lzma_options.dict_size = dict_size(data.len(), &options.lzma_options);
    let write = || -> io::Result<Vec<u8>> {
        let mut writer = XzWriter::new(Vec::new(), options)?;
        writer.write_all(data)?;
        writer.finish()
    };
    write().map_err(DeltaError::Compress)
}

fn dict_size(len: usize, options: &LzmaOptions) -> u32 {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    // The format knows powers of two and one and a half times these.
    len.max(DICT_MIN).checked_next_power_of_two().unwrap_or(u32::MAX).min(options.dict_size)
}
