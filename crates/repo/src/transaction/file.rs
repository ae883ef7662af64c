use std::io::{self, Read};
use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{DirectWriter, File, FsError, Pages};

use super::Transaction;
use super::stream::pieces;
use crate::{RepoError, RepoMode, Result};

/// From this size on, sharing the blocks of a file is worth a name that may have to go again.
const CLONED: u64 = 256 << 10;
/// Files up to this size are held in memory: hashed first, and written only if new.
const IN_MEMORY: u64 = 16 << 20;
const BUFFER: usize = 256 * 1024;
/// Files from this size on are written past the page cache where that is better.
const DIRECT: usize = 1 << 20;

/// Where the content of a new file object comes from.
pub enum FileSource<'a> {
    /// There is none: a symbolic link or an empty file.
    Empty,
    /// It is in memory.
    Bytes(&'a [u8]),
    /// It is read to its end.
    Read(&'a mut dyn Read),
    /// It is an open file, at its beginning.
    File {
        /// The file.
        file: &'a File,
        /// What `stat` said of it, in bytes. Another size now does no harm.
        size: u64,
    },
}

impl Transaction<'_> {
    /// Writes a file object and gives its checksum, which is that of `header` and content.
    ///
    /// The checksum is always computed from the very bytes that are stored: a source that
    /// changes while it is read gives another object, never a corrupt one.
    pub fn write_file(&self, header: &FileHeader, source: FileSource<'_>) -> Result<Checksum> {
        self.tally.content_total.fetch_add(1, Relaxed);
        match source {
            FileSource::Empty => self.write_bytes(header, &[], None),
            FileSource::Bytes(bytes) => self.write_bytes(header, bytes, None),
            FileSource::File { file, size } => self.write_open_file(header, file, size),
            FileSource::Read(reader) => self.write_small(header, reader, None),
        }
    }

    fn write_open_file(&self, header: &FileHeader, file: &File, size: u64) -> Result<Checksum> {
        if size >= CLONED
            && !self.is_rehearsal()
            && self.stores_plain_files()
            && let Some(checksum) = self.write_clone(header, file)?
        {
            return Ok(checksum);
        }
        match size {
            size if size < IN_MEMORY => self.write_small_file(header, file, size),
            _ => self.write_large_file(header, file),
        }
    }

    /// Whether the file of an object has the bytes of the content and no others.
    fn stores_plain_files(&self) -> bool {
        matches!(self.repo.mode(), RepoMode::Bare | RepoMode::BareUser | RepoMode::BareUserOnly)
    }

    /// Shares the blocks of the source where the file systems can, `None` where not. It is the
    /// clone that is hashed: the source may change meanwhile. Nothing is taken from the budget,
    /// since no new blocks are used.
    fn write_clone(&self, header: &FileHeader, source: &File) -> Result<Option<Checksum>> {
        if self.cannot_clone.load(Relaxed) {
            return Ok(None);
        }
        let stage = self.stage()?;
        let temp = stage.temp_name();
        let file = stage.dir().create_file(&temp, 0o644)?;
        if !file.reflink_from(source)? {
            self.cannot_clone.store(true, Relaxed);
            stage.dir().unlink(&temp)?;
            return Ok(None);
        }
        let (checksum, size) = pieces(header, &mut &file, |_| Ok(()))?;
        self.check_mode(header, &checksum)?;
        self.finish_bare(&file, header)?;
        self.note_size(checksum, ObjectType::File, size);
        self.adopt(&temp, checksum, size)?;
        Ok(Some(checksum))
    }

    /// As [`Transaction::write_file`] for content that has to make the object `expected`:
    /// other content is refused, and nothing of it stays.
    pub(crate) fn write_file_as(
        &self,
        expected: &Checksum,
        header: &FileHeader,
        reader: &mut dyn Read,
    ) -> Result<()> {
        self.tally.content_total.fetch_add(1, Relaxed);
        match header.symlink_target {
            Some(_) => self.write_bytes(header, &[], Some(expected)),
            None => self.write_small(header, reader, Some(expected)),
        }
        .map(drop)
    }

    /// Reads a file of known size: one byte more is asked for, so that just this size is the
    /// whole of it, and a small one is read by one call.
    fn write_small_file(&self, header: &FileHeader, file: &File, size: u64) -> Result<Checksum> {
        let size = size as usize;
        let mut bytes = Pages::zeroed(size + 1);
        let mut hasher = header.hasher();
        let mut filled = 0;
        while filled < bytes.len() {
            let end = bytes.len().min(filled + BUFFER);
            let n = file.read_some(&mut bytes[filled..end])?;
            // Hashed while it is in the cache of the processor.
            hasher.update(&bytes[filled..filled + n]);
            filled += n;
            if n == 0 || (filled == size && end > size) {
                return self.write_hashed(header, &bytes[..filled], hasher.finish());
            }
        }
        // It has grown since.
        self.write_small(header, &mut bytes.chain(file), None)
    }

    /// Reads up to the limit of memory, and goes over to a stream where there is more.
    fn write_small(
        &self,
        header: &FileHeader,
        reader: &mut dyn Read,
        expected: Option<&Checksum>,
    ) -> Result<Checksum> {
        let mut bytes = Vec::new();
        reader.take(IN_MEMORY).read_to_end(&mut bytes).map_err(|e| read_error(header, e))?;
        if (bytes.len() as u64) < IN_MEMORY {
            return self.write_bytes(header, &bytes, expected);
        }
        self.write_stream(header, &mut io::Cursor::new(bytes).chain(reader), expected)
    }

    fn write_bytes(
        &self,
        header: &FileHeader,
        bytes: &[u8],
        expected: Option<&Checksum>,
    ) -> Result<Checksum> {
        let checksum = header.checksum_of(bytes);
        check_expected(expected, &checksum)?;
        self.write_hashed(header, bytes, checksum)
    }

    /// As [`Transaction::write_bytes`], for an object of which the checksum was reckoned.
    fn write_hashed(
        &self,
        header: &FileHeader,
        bytes: &[u8],
        checksum: Checksum,
    ) -> Result<Checksum> {
        self.check_mode(header, &checksum)?;
        let target_len = header.symlink_target.as_ref().map(String::len);
        let unpacked = target_len.unwrap_or(bytes.len()) as u64;
        self.note_size(checksum, ObjectType::File, unpacked);
        let name = ObjectName::new(checksum, ObjectType::File);
        if !self.claim(name)? {
            return Ok(checksum);
        }
        self.budget.take(bytes.len() as u64)?;
        self.count_written(bytes.len() as u64);
        let Some(stage) = &self.stage else { return Ok(checksum) };
        if let Some(target) = &header.symlink_target {
            self.stage_link(&stage.path_of(&name)?, header, target)?;
            return Ok(checksum);
        }
        let file = stage.create(&name)?;
        if self.repo.mode() == RepoMode::Archive {
            self.write_archive(&file, header, bytes)?;
        } else {
            if bytes.len() >= DIRECT && stage.takes_direct_writes()? {
                DirectWriter::new(&file).write_all(bytes)?;
            } else {
                file.write_all(bytes)?;
            }
            self.finish_bare(&file, header)?;
        }
        Ok(checksum)
    }

    pub(super) fn adopt(&self, temp: &str, checksum: Checksum, size: u64) -> Result<()> {
        let name = ObjectName::new(checksum, ObjectType::File);
        let stage = self.stage()?;
        if self.claim(name)? {
            self.count_written(size);
            stage.dir().rename(temp, stage.dir(), stage.path_of(&name)?)?;
        } else {
            stage.dir().unlink(temp)?;
        }
        Ok(())
    }

    pub(super) fn count_written(&self, bytes: u64) {
        self.tally.content_written.fetch_add(1, Relaxed);
        self.tally.content_bytes.fetch_add(bytes, Relaxed);
    }
}

/// Refuses content that makes another object than the one that was asked for.
pub(super) fn check_expected(expected: Option<&Checksum>, actual: &Checksum) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => Err(RepoError::ChecksumMismatch {
            kind: ObjectType::File.suffix(),
            expected: *expected,
            actual: *actual,
        }),
        _ => Ok(()),
    }
}

pub(super) fn read_error(header: &FileHeader, source: io::Error) -> RepoError {
    let what = if header.symlink_target.is_some() { "link" } else { "content" };
    FsError::new("read", format!("{what} of a new object"), source).into()
}
