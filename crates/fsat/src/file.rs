use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid};

use crate::meta::mtime_only;
use crate::ops::Op;
use crate::{Fs, FsError, Result, Stat, Timestamp};

/// Read at most this much at once from a file whose size is not known.
const CHUNK: usize = 64 * 1024;
/// What is read first of a file of unknown size: most metadata objects fit.
const FIRST_READ: usize = 32 * 1024;
/// Memory is taken for so much at once, whatever `stat` says.
const LARGEST_READ: usize = 4 << 20;

/// An open file.
///
/// Reads and writes through `std::io` are counted like the methods here.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
    fs: Fs,
    path: PathBuf,
}

impl File {
    pub(crate) fn new(fd: OwnedFd, fs: Fs, path: PathBuf) -> File {
        File { fd, fs, path }
    }

    /// The account this handle belongs to.
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// The path it was opened by, for messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn run<T>(&self, op: Op, call: impl FnMut() -> rustix::io::Result<T>) -> Result<T> {
        self.fs.run(op, || self.path.clone(), call)
    }

    /// The metadata of the file.
    pub fn stat(&self) -> Result<Stat> {
        self.run(Op::Stat, || rustix::fs::fstat(&self.fd)).map(|st| Stat::from_raw(&st))
    }

    /// The rest of the content; an error where it is longer than `limit` bytes. A file that
    /// grows while it is read cannot pass the limit either.
    ///
    /// Meant for small regular files: a read that comes back short is taken for the end of the
    /// file, as the kernel has it for regular files.
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut room = FIRST_READ;
        loop {
            out.reserve_exact(room);
            let room_was = out.capacity() - out.len();
            let n = self.read_onto(&mut out)?;
            if out.len() as u64 > limit {
                let what = format!("larger than {limit} bytes");
                return Err(FsError::new("read", &self.path, io::Error::other(what)));
            }
            if n < room_was {
                out.shrink_to_fit();
                return Ok(out);
            }
            // What did not fit the first read is read by one more, and a byte beyond its end.
            let size = self.stat()?.size.min(limit);
            let rest = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(out.len());
            room = rest.saturating_add(1).clamp(CHUNK / 4, LARGEST_READ);
        }
    }

    /// Reads into what room `out` has behind its content.
    fn read_onto(&self, out: &mut Vec<u8>) -> Result<usize> {
        let n = self.run(Op::Read, || {
            rustix::io::read(&self.fd, rustix::buffer::spare_capacity(&mut *out))
        })?;
        self.fs.read(n as u64);
        Ok(n)
    }

    /// Reads some bytes; 0 at the end.
    pub fn read_some(&self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.run(Op::Read, || rustix::io::read(&self.fd, &mut *buffer))?;
        self.fs.read(n as u64);
        Ok(n)
    }

    /// Reads some bytes at `offset`, wherever the read position is; 0 at the end and beyond it.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let n = self.run(Op::Read, || rustix::io::pread(&self.fd, &mut *buffer, offset))?;
        self.fs.read(n as u64);
        Ok(n)
    }

    /// Up to `len` bytes from the read position on; fewer at the end of the file.
    pub fn read_up_to(&self, len: usize) -> Result<Vec<u8>> {
        let mut out = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.read_some(&mut out[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        out.truncate(filled);
        Ok(out)
    }

    /// Moves the read position to the beginning.
    pub fn rewind(&self) -> Result<()> {
        rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0))
            .map(drop)
            .map_err(|e| FsError::new("rewind", &self.path, e))
    }

    /// Writes all bytes.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let n = self.write_some(bytes)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    fn write_some(&self, bytes: &[u8]) -> Result<usize> {
        let n = self.run(Op::Write, || rustix::io::write(&self.fd, bytes))?;
        if n == 0 {
            let cause = io::Error::from(io::ErrorKind::WriteZero);
            return Err(FsError::new("write", &self.path, cause));
        }
        self.fs.wrote(n as u64);
        Ok(n)
    }

    /// Sets the permission bits. Only for a file the caller made: see [`crate::Dir`].
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        self.run(Op::Chmod, || rustix::fs::fchmod(&self.fd, mode))
    }

    /// Sets owner and group. Only for a file the caller made.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        self.run(Op::Chown, || rustix::fs::fchown(&self.fd, Some(uid), Some(gid)))
    }

    /// Sets the modification time. Only for a file the caller made.
    pub fn set_mtime(&self, mtime: Timestamp) -> Result<()> {
        self.run(Op::SetTimes, || rustix::fs::futimens(&self.fd, &mtime_only(mtime)))
    }

    /// Sets the length: cuts off, or adds a hole at the end.
    pub fn set_len(&self, len: u64) -> Result<()> {
        self.run(Op::Write, || rustix::fs::ftruncate(&self.fd, len))
    }

    /// Bytes that the file system has allocated for it, holes not counted.
    pub fn allocated(&self) -> Result<u64> {
        let stat = self.run(Op::Stat, || rustix::fs::fstat(&self.fd))?;
        Ok(u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
    }

    /// Syncs content and metadata of the file.
    pub fn sync(&self) -> Result<()> {
        self.run(Op::Sync, || rustix::fs::fsync(&self.fd))
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl io::Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(io::Error::other)
    }
}

impl io::Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl io::Seek for File {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        let position = match position {
            io::SeekFrom::Start(at) => rustix::fs::SeekFrom::Start(at),
            io::SeekFrom::End(by) => rustix::fs::SeekFrom::End(by),
            io::SeekFrom::Current(by) => rustix::fs::SeekFrom::Current(by),
        };
        Ok(rustix::fs::seek(&self.fd, position)?)
    }
}

impl io::Write for &File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() { Ok(0) } else { self.write_some(bytes).map_err(io::Error::other) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
