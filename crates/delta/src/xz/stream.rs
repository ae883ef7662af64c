//! The container around chunks of LZMA2, without a checksum of what is in it: parts have one.

use super::find::WINDOW;
use crate::varint;

const HEADER: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
const FOOTER: [u8; 2] = *b"YZ";
/// There is no check.
const FLAGS: [u8; 2] = [0, 0];
const LZMA2: u8 = 0x21;
/// Lengths are told in so many bytes.
const UNIT: usize = 4;

/// A stream of one block, which are these chunks and make `len` bytes.
pub(super) fn wrap(chunks: &[u8], len: usize) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    out.extend_from_slice(&FLAGS);
    push_crc(&mut out, HEADER.len());
    let block = out.len();
    // How long it is, one filter, which has one byte of properties.
    out.extend_from_slice(&[2, 0, LZMA2, 1, dictionary(len), 0, 0, 0]);
    push_crc(&mut out, block);
    out.extend_from_slice(chunks);
    let unpadded = out.len() - block;
    pad(&mut out);
    let index = out.len();
    out.extend_from_slice(&[0, 1]);
    // The numbers of this container are those of operations.
    varint::write(&mut out, unpadded as u64);
    varint::write(&mut out, len as u64);
    pad(&mut out);
    push_crc(&mut out, index);
    let size = ((out.len() - index) / UNIT - 1) as u32;
    let footer = [&size.to_le_bytes()[..], &FLAGS].concat();
    out.extend_from_slice(&crc(&footer).to_le_bytes());
    out.extend_from_slice(&footer);
    out.extend_from_slice(&FOOTER);
    out
}

/// The smallest dictionary that reaches over `len` bytes, or over the window: two or three times
/// a power of two.
fn dictionary(len: usize) -> u8 {
    let len = len.min(WINDOW) as u64;
    (0..40).find(|bits| (2 | u64::from(bits & 1)) << (bits / 2 + 11) >= len).unwrap_or(40)
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(UNIT), 0);
}

fn push_crc(out: &mut Vec<u8>, from: usize) {
    let crc = crc(&out[from..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}
