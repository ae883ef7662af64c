//! Content objects in the form of an archive repository, made while they are sent.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use trefoil_format::file::ArchiveHeader;
use trefoil_repo::{Content, FileObject};

use crate::body::{CHUNK, Source};

/// Packs one object, a chunk at a time.
pub(crate) struct Packer {
    content: Content,
    /// What the header says the content has.
    size: u64,
    taken: u64,
    /// `None` when all was packed, and for a symbolic link.
    deflate: Option<DeflateEncoder<Vec<u8>>>,
    /// For reading into; of a link it is the whole object.
    buffer: Vec<u8>,
}

impl Packer {
    /// Starts with the header; the checksum is not verified, which every client does.
    pub fn new(object: FileObject, level: u32) -> Packer {
        let FileObject { header, size, content } = object;
        let is_link = header.is_symlink();
        let framed = ArchiveHeader { size, header }.to_bytes();
        if is_link {
            return Packer { content, size, taken: 0, deflate: None, buffer: framed };
        }
        let deflate = Some(DeflateEncoder::new(framed, Compression::new(level)));
        Packer { content, size, taken: 0, deflate, buffer: vec![0; CHUNK] }
    }
}

impl Source for Packer {
    fn next(&mut self) -> io::Result<Bytes> {
        let Some(mut deflate) = self.deflate.take() else {
            return Ok(Bytes::from(std::mem::take(&mut self.buffer)));
        };
        while deflate.get_ref().len() < CHUNK {
            match self.content.read(&mut self.buffer)? {
                0 if self.taken == self.size => return Ok(Bytes::from(deflate.finish()?)),
                // It is not the object it was a moment ago.
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    self.taken += n as u64;
                    deflate.write_all(&self.buffer[..n])?;
                }
            }
        }
        let packed = std::mem::take(deflate.get_mut());
        self.deflate = Some(deflate);
        Ok(Bytes::from(packed))
    }

    fn is_done(&self) -> bool {
        self.deflate.is_none()
    }
}
