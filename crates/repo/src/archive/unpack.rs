use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::read::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// How often an archive may be packed in one packed already.
const MAX_LAYERS: usize = 4;
/// Memory of the decoders of xz and zstd: what their largest levels need, and no more.
const MAX_WINDOW: u64 = 128 << 20;
const MAX_XZ_KIB: u32 = 192 << 10;
const BUFFER: usize = 128 * 1024;
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
const XZ: &[u8] = b"\xfd7zXZ\0";
const BZIP2: &[u8] = b"BZh";
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

type Source<'r> = Box<dyn Read + Send + 'r>;

/// Takes off every layer of compression, told by content, and gives the first `peek` bytes
/// beside the reader of all, fewer where there are no more.
pub(super) fn unpack(mut source: Source<'_>, peek: usize) -> io::Result<(Vec<u8>, Source<'_>)> {
    for _ in 0..=MAX_LAYERS {
        let mut start = Vec::with_capacity(peek);
        (&mut source).take(peek as u64).read_to_end(&mut start)?;
        let whole = BufReader::with_capacity(BUFFER, Cursor::new(start.clone()).chain(source));
        source = if start.starts_with(GZIP) {
            Box::new(Gzip { member: Some(GzDecoder::new(whole)) })
        } else if start.starts_with(XZ) {
            Box::new(XzReader::new_mem_limit(whole, true, MAX_XZ_KIB))
        } else if start.starts_with(BZIP2) {
            Box::new(MultiBzDecoder::new(whole))
        } else if is_zstd(&start) {
            let mut decoder = FrameDecoder::new();
            decoder.set_max_window_size(MAX_WINDOW);
            let rest = Pushback { pending: Vec::new(), inner: whole };
            Box::new(Zstd::Between(rest, Box::new(decoder)))
        } else {
            return Ok((start, Box::new(whole)));
        };
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "packed too many times over"))
}

/// One member after another. What follows the last is not looked at, as by gzip.
struct Gzip<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            match member.read(buffer)? {
                0 if !buffer.is_empty() => {
                    let rest = self.member.take().map(GzDecoder::into_inner);
                    if let Some(mut rest) = rest
                        && rest.fill_buf()?.starts_with(&GZIP[..1])
                    {
                        self.member = Some(GzDecoder::new(rest));
                    }
                }
                n => return Ok(n),
            }
        }
    }
}

fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(&ZSTD) || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// One frame after another; skippable ones are passed over.
enum Zstd<R: Read> {
    Between(Pushback<R>, Box<FrameDecoder>),
    Frame(Box<StreamingDecoder<Pushback<R>, Box<FrameDecoder>>>),
    End,
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(self, Zstd::End) {
                Zstd::End => return Ok(0),
                Zstd::Between(rest, decoder) => *self = next_frame(rest, decoder)?,
                Zstd::Frame(mut frame) => match frame.read(buffer)? {
                    0 => {
                        let (rest, decoder) = frame.into_parts();
                        check_frame(&decoder)?;
                        *self = Zstd::Between(rest, decoder);
                    }
                    n => {
                        *self = Zstd::Frame(frame);
                        return Ok(n);
                    }
                },
            }
        }
    }
}

fn next_frame<R: Read>(mut rest: Pushback<R>, decoder: Box<FrameDecoder>) -> io::Result<Zstd<R>> {
    let mut magic = Vec::with_capacity(ZSTD.len());
    (&mut rest).take(ZSTD.len() as u64).read_to_end(&mut magic)?;
    if magic == ZSTD {
        rest.pending = magic;
        let frame = StreamingDecoder::new_with_decoder(rest, decoder).map_err(io::Error::other)?;
        return Ok(Zstd::Frame(Box::new(frame)));
    }
    if !is_zstd(&magic) {
        return Ok(Zstd::End);
    }
    let mut len = [0; 4];
    rest.read_exact(&mut len)?;
    io::copy(&mut (&mut rest).take(u64::from(u32::from_le_bytes(len))), &mut io::sink())?;
    Ok(Zstd::Between(rest, decoder))
}

/// The decoder computes the checksum, but leaves the comparison to others.
fn check_frame(decoder: &FrameDecoder) -> io::Result<()> {
    match decoder.get_checksum_from_data() {
        Some(expected) if decoder.get_calculated_checksum() != Some(expected) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "zstd frame with a wrong checksum"))
        }
        _ => Ok(()),
    }
}

/// A reader whose last few bytes can be read again.
struct Pushback<R> {
    pending: Vec<u8>,
    inner: R,
}

impl<R: Read> Read for Pushback<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            return self.inner.read(buffer);
        }
        let n = buffer.len().min(self.pending.len());
        buffer[..n].copy_from_slice(&self.pending[..n]);
        self.pending.drain(..n);
        Ok(n)
    }
}
