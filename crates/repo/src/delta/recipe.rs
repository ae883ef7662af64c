//! Puts the content of a file together.

use std::io::{self, Read};

use trefoil_delta::{DeltaError, Limits, Part, Piece, apply_patch};
use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_fsat::{File, FsError};

use crate::{Content, FileSource, RepoError, Result, Transaction};

/// Files up to this size are put together in memory, in bytes.
const WHOLE: u64 = 4 << 20;

/// Writes the file that the pieces make, and gives its checksum.
pub(super) fn write_file(
    txn: &Transaction<'_>,
    part: &Part,
    header: &FileHeader,
    size: u64,
    pieces: &[Piece],
    limits: &Limits,
) -> Result<Checksum> {
    if header.is_symlink() {
        return txn.write_file(header, FileSource::Empty);
    }
    match pieces {
        [] => txn.write_file(header, FileSource::Empty),
        [Piece::Payload(range)] => {
            txn.write_file(header, FileSource::Bytes(&part.payload()[range.clone()]))
        }
        [Piece::Patch { source, patch }] => {
            let old = read_source(txn, source, limits.patched)?;
            let new = apply_patch(&old, &part.payload()[patch.clone()], size)?;
            drop(old);
            txn.write_file(header, FileSource::Bytes(&new))
        }
        _ => {
            let mut reader = Pieces { txn, part, pieces, done: 0, source: None, limits };
            if size > WHOLE {
                return txn.write_file(header, FileSource::Read(&mut reader));
            }
            // Room for it is taken once, and not over and over while it grows.
            let mut bytes = Vec::with_capacity(size as usize);
            let read = reader.read_to_end(&mut bytes);
            read.map_err(|e| FsError::new("read", "content of a new object", e))?;
            txn.write_file(header, FileSource::Bytes(&bytes))
        }
    }
}

/// The whole content of a file object.
fn read_source(txn: &Transaction<'_>, source: &Checksum, limit: u64) -> Result<Vec<u8>> {
    let object = txn.repo().load_file(source)?;
    let too_large =
        || RepoError::from(DeltaError::Invalid(format!("{source} is larger than {limit} bytes")));
    if object.size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let read = object.content.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|e| RepoError::Delta(DeltaError::Patch(e)))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Where copies come from: a file that any place of can be read, or, where objects are
/// compressed, its content.
enum Source {
    File(File),
    Bytes(Vec<u8>),
}

/// Reads pieces one after the other.
struct Pieces<'a> {
    txn: &'a Transaction<'a>,
    part: &'a Part,
    pieces: &'a [Piece],
    /// Bytes of the first piece that were read.
    done: u64,
    source: Option<(Checksum, Source)>,
    limits: &'a Limits,
}

impl Pieces<'_> {
    fn source(&mut self, checksum: &Checksum) -> Result<&Source> {
        if self.source.as_ref().is_none_or(|(held, _)| held != checksum) {
            let source = match self.txn.repo().load_file(checksum)?.content {
                Content::File(file) => Source::File(file),
                _ => Source::Bytes(read_source(self.txn, checksum, self.limits.patched)?),
            };
            self.source = Some((*checksum, source));
        }
        match &self.source {
            Some((_, source)) => Ok(source),
            None => Err(RepoError::Refused(format!("{checksum} is not open"))),
        }
    }

    fn copy(&mut self, checksum: &Checksum, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let n = match self.source(checksum)? {
            Source::File(file) => file.read_at(buffer, offset)?,
            Source::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
                let rest = rest.unwrap_or_default();
                let n = rest.len().min(buffer.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                n
            }
        };
        match n {
            0 => {
                Err(DeltaError::Invalid(format!("Unexpected EOF reading object {checksum}")).into())
            }
            n => Ok(n),
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A patch makes the whole content, so it is never one of several pieces.
        let left = |piece: &Piece, done| piece.len(0) - done;
        while let Some((first, rest)) = self.pieces.split_first()
            && left(first, self.done) == 0
        {
            self.pieces = rest;
            self.done = 0;
        }
        let Some(piece) = self.pieces.first() else { return Ok(0) };
        let most = usize::try_from(left(piece, self.done)).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let n = match piece {
            Piece::Copy { source, offset, .. } if most > 0 => {
                let at = offset.saturating_add(self.done);
                self.copy(source, at, &mut buffer[..most]).map_err(io::Error::other)?
            }
            Piece::Payload(range) => {
                let start = range.start + self.done as usize;
                buffer[..most].copy_from_slice(&self.part.payload()[start..start + most]);
                most
            }
            Piece::Copy { .. } | Piece::Patch { .. } => 0,
        };
        self.done += n as u64;
        Ok(n)
    }
}
