use std::io::{self, Read};
use std::sync::atomic::Ordering::Relaxed;

use flate2::bufread::DeflateDecoder;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::{ArchiveHeader, FRAME_LEN, FileHeader};
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{File, FsError};

use super::Transaction;
use super::file::check_expected;
use crate::{RepoError, RepoMode, Result};

const BUFFER: usize = 128 * 1024;

/// A file object in the form of an archive (`.filez`), on its way in.
pub(crate) struct ArchivedFile<'a> {
    /// The object that it has to be.
    pub checksum: Checksum,
    /// The bytes, to their end.
    pub bytes: &'a mut dyn Read,
}

impl Transaction<'_> {
    /// Writes a file object that comes in the form of an archive, and verifies it. `check` may
    /// refuse its metadata.
    ///
    /// In a repository that is an archive itself the packed bytes are stored as they came, once
    /// they were unpacked in full and gave the right checksum; libostree packs them anew.
    pub(crate) fn write_archived(
        &self,
        object: ArchivedFile<'_>,
        check: impl FnOnce(&FileHeader) -> Result<()>,
    ) -> Result<()> {
        let name = ObjectName::new(object.checksum, ObjectType::File);
        let (framed, ArchiveHeader { size, header }) = read_header(&name, object.bytes)?;
        check(&header)?;
        self.check_room(size)?;
        let mut packed = Packed::of(size, object.bytes);
        if self.repo.mode() == RepoMode::Archive {
            return self.store_packed(&name, &framed, &header, size, &mut packed);
        }
        let buffered = io::BufReader::with_capacity(BUFFER, packed);
        let mut content = Exactly { inner: DeflateDecoder::new(buffered), left: size };
        self.write_file_as(&object.checksum, &header, &mut content)
    }

    /// Writes the bytes of an archive's file object without a look at them, as a mirror may that
    /// trusts its source (`--http-trusted`).
    pub(crate) fn write_archived_unverified(&self, object: ArchivedFile<'_>) -> Result<()> {
        self.tally.content_total.fetch_add(1, Relaxed);
        let stage = self.stage()?;
        let temp = stage.temp_name();
        let file = stage.dir().create_file(&temp, 0o644)?;
        let mut tee = Tee { from: object.bytes, to: &file, txn: self };
        let size = io::copy(&mut tee, &mut io::sink()).map_err(|e| broken(&file, e))?;
        file.set_mode(0o644)?;
        self.adopt(&temp, object.checksum, size)
    }

    /// Stores the packed bytes while they are unpacked and hashed.
    fn store_packed(
        &self,
        name: &ObjectName,
        framed: &[u8],
        header: &FileHeader,
        size: u64,
        packed: &mut dyn Read,
    ) -> Result<()> {
        self.tally.content_total.fetch_add(1, Relaxed);
        let stage = self.stage()?;
        let temp = stage.temp_name();
        let file = stage.dir().create_file(&temp, 0o644)?;
        let stored = self.copy_packed(name, &file, framed, header, size, packed);
        if let Err(e) = stored {
            stage.dir().unlink(&temp)?;
            return Err(e);
        }
        file.set_mode(0o644)?;
        self.note_size(name.checksum, ObjectType::File, size);
        self.adopt(&temp, name.checksum, size)
    }

    fn copy_packed(
        &self,
        name: &ObjectName,
        file: &File,
        framed: &[u8],
        header: &FileHeader,
        size: u64,
        packed: &mut dyn Read,
    ) -> Result<()> {
        self.budget.take(framed.len() as u64)?;
        file.write_all(framed)?;
        let mut hasher = header.hasher();
        let tee = Tee { from: packed, to: file, txn: self };
        let mut buffered = io::BufReader::with_capacity(BUFFER, tee);
        if header.symlink_target.is_none() {
            let inflate = DeflateDecoder::new(&mut buffered);
            let mut content = Exactly { inner: inflate, left: size };
            let mut buffer = vec![0; BUFFER];
            loop {
                match content.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => hasher.update(&buffer[..n]),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(broken(file, e)),
                }
            }
        }
        let mut more = [0];
        if buffered.read(&mut more).map_err(|e| broken(file, e))? != 0 {
            let what = format!("Corrupted object {name}: there are bytes behind the content");
            return Err(RepoError::Refused(what));
        }
        check_expected(Some(&name.checksum), &hasher.finish())
    }

    /// Refuses an object that says it is larger than what the file system has room for, before
    /// the first byte of it is written.
    fn check_room(&self, size: u64) -> Result<()> {
        if size < LARGE {
            return Ok(());
        }
        let available = self.repo.dir().space()?.available_bytes();
        match size > available {
            true => Err(RepoError::Refused(format!(
                "a file object of {size} bytes does not fit, {available} bytes are available"
            ))),
            false => Ok(()),
        }
    }
}

/// Objects from this size on are checked against the room there is.
const LARGE: u64 = 16 << 20;

fn read_header(name: &ObjectName, bytes: &mut dyn Read) -> Result<(Vec<u8>, ArchiveHeader)> {
    let corrupt = |source| RepoError::Corrupt { name: *name, source };
    let cut = |e| FsError::new("read", name.to_string(), e);
    let mut framed = vec![0; FRAME_LEN];
    bytes.read_exact(&mut framed).map_err(cut)?;
    let len = ArchiveHeader::parse_prefix(&framed).map_err(corrupt)?;
    // Memory grows with what comes, not with what was promised.
    let got = bytes.take(len as u64).read_to_end(&mut framed).map_err(cut)?;
    if got < len {
        return Err(cut(io::ErrorKind::UnexpectedEof.into()).into());
    }
    let (parsed, _) = ArchiveHeader::parse_framed(&framed).map_err(corrupt)?;
    Ok((framed, parsed))
}

fn broken(file: &File, source: io::Error) -> RepoError {
    FsError::new("read", file.path(), source).into()
}

/// Reads no more than content can take when it is packed: a stream may go on for ever without
/// coming to a byte of content.
struct Packed<'a> {
    from: &'a mut dyn Read,
    left: u64,
}

impl<'a> Packed<'a> {
    /// Packers make little more of what cannot be packed than it was; what they flush takes
    /// some bytes each time.
    fn of(size: u64, from: &'a mut dyn Read) -> Self {
        Packed { from, left: size.saturating_mul(2).saturating_add(64 << 10) }
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => return Err(invalid("the packed content is far longer than its header says")),
        }
        Ok(n)
    }
}

/// Reads as many bytes as an object says it has; more or fewer are an error.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let left = self.left.checked_sub(n as u64);
        match left {
            None => {
                return Err(invalid("the content is longer than the header of the object says"));
            }
            Some(left) if n == 0 && left > 0 && !buffer.is_empty() => {
                return Err(invalid("the content is shorter than the header of the object says"));
            }
            Some(left) => self.left = left,
        }
        Ok(n)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Writes to a file what is read.
struct Tee<'a, 't> {
    from: &'a mut dyn Read,
    to: &'a File,
    txn: &'a Transaction<'t>,
}

impl Read for Tee<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        if n > 0 {
            self.txn.budget.take(n as u64).map_err(io::Error::other)?;
            self.to.write_all(&buffer[..n]).map_err(io::Error::other)?;
        }
        Ok(n)
    }
}
