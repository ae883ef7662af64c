//! Content too large for memory.

use std::io::{self, Read, Write};

use flate2::write::DeflateEncoder;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::{ArchiveHeader, FileHeader};
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{DirectWriter, File, Pages};

use super::Transaction;
use super::file::{check_expected, read_error};
use super::modes::write_error;
use crate::{RepoMode, Result};

/// Content goes in pieces of so many bytes, past the page cache where that is better: each piece
/// waits for the disk then.
const PIECE: usize = 1 << 20;

impl Transaction<'_> {
    /// A large file is likely to be there already: hashed first, it costs no writes then. Not
    /// so where there is nothing yet.
    pub(super) fn write_large_file(&self, header: &FileHeader, file: &File) -> Result<Checksum> {
        let has_nothing = self.stage.as_ref().is_some_and(|stage| stage.folders().is_some());
        if has_nothing || self.is_rehearsal() {
            return self.write_stream(header, &mut &*file, None);
        }
        let (checksum, size) = pieces(header, &mut &*file, |_| Ok(()))?;
        if self.has_object(&ObjectName::new(checksum, ObjectType::File))? {
            self.note_size(checksum, ObjectType::File, size);
            return Ok(checksum);
        }
        file.rewind()?;
        self.write_stream(header, &mut &*file, None)
    }

    /// Content too large for memory: written while it is hashed, named when it is known.
    pub(super) fn write_stream(
        &self,
        header: &FileHeader,
        reader: &mut dyn Read,
        expected: Option<&Checksum>,
    ) -> Result<Checksum> {
        let Some(stage) = &self.stage else {
            let (checksum, size) = pieces(header, reader, |_| Ok(()))?;
            check_expected(expected, &checksum)?;
            self.rehearse_file(header, checksum, size)?;
            return Ok(checksum);
        };
        let temp = stage.temp_name();
        let file = stage.dir().create_file(&temp, 0o644)?;
        let (checksum, size) = match self.repo.mode() {
            RepoMode::Archive => self.pack(&file, header, reader)?,
            _ => self.store(&file, header, reader)?,
        };
        check_expected(expected, &checksum)?;
        self.check_mode(header, &checksum)?;
        self.note_size(checksum, ObjectType::File, size);
        self.adopt(&temp, checksum, size)?;
        Ok(checksum)
    }

    fn pack(
        &self,
        file: &File,
        header: &FileHeader,
        reader: &mut dyn Read,
    ) -> Result<(Checksum, u64)> {
        let frame = |size| ArchiveHeader { size, header: header.clone() }.to_bytes();
        // The header of an archive object holds the size, which a stream tells only at its end.
        file.write_all(&vec![0; frame(0).len()])?;
        let mut deflate = DeflateEncoder::new(file, self.compression());
        let (checksum, size) = pieces(header, reader, |bytes| {
            self.budget.take(bytes.len() as u64)?;
            deflate.write_all(bytes).map_err(|e| write_error(file, e))
        })?;
        deflate.finish().map_err(|e| write_error(file, e))?;
        file.rewind()?;
        file.write_all(&frame(size))?;
        Ok((checksum, size))
    }

    fn store(
        &self,
        file: &File,
        header: &FileHeader,
        reader: &mut dyn Read,
    ) -> Result<(Checksum, u64)> {
        let direct = self.stage()?.takes_direct_writes()?;
        let mut writer = DirectWriter::new(file);
        let summed = pieces(header, reader, |bytes| {
            self.budget.take(bytes.len() as u64)?;
            let written = if direct { writer.write_all(bytes) } else { file.write_all(bytes) };
            Ok(written?)
        })?;
        self.finish_bare(file, header)?;
        Ok(summed)
    }
}

/// Hands the content over in pieces, of which only the last is not [`PIECE`] bytes long; gives
/// the checksum of the object and the size of its content in bytes.
pub(super) fn pieces(
    header: &FileHeader,
    reader: &mut dyn Read,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<(Checksum, u64)> {
    let mut hasher = header.hasher();
    let mut size = 0;
    let mut buffer = Pages::zeroed(PIECE);
    loop {
        let filled = fill(reader, &mut buffer).map_err(|e| read_error(header, e))?;
        let piece = &buffer[..filled];
        hasher.update(piece);
        size += piece.len() as u64;
        sink(piece)?;
        if filled < PIECE {
            return Ok((hasher.finish(), size));
        }
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
