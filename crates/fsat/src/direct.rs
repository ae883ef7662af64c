//! Writing large files past the page cache: what a commit stores is not read again soon, and
//! would drive out what is.

use std::ops::{Deref, DerefMut};

use rustix::fs::OFlags;

use crate::ops::Op;
use crate::{Dir, File, Result};

/// The numbers by which Linux knows ext2 to ext4, and XFS, from `linux/magic.h`.
pub(crate) const EXT4: u64 = 0xEF53;
const XFS: u64 = 0x5846_5342;

/// Zeroed memory that begins at a multiple of [`Pages::SIZE`], as the kernel wants it for writes
/// past the page cache.
#[derive(Debug)]
pub struct Pages {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Pages {
    /// No disk asks for more, in bytes.
    pub const SIZE: usize = 4096;

    /// Memory of `len` bytes.
    pub fn zeroed(len: usize) -> Pages {
        let bytes = vec![0; len + Pages::SIZE - 1];
        let start = bytes.as_ptr().align_offset(Pages::SIZE).min(Pages::SIZE - 1);
        Pages { bytes, start, len }
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// Writes a new file from its beginning, past the page cache while that is possible.
///
/// What is handed over goes there as long as it lies in [`Pages`] and is a multiple of their
/// size; the first that is not, which ought to be the end of the file, and all after it goes the
/// ordinary way. Nothing is durable sooner than by ordinary writes.
#[derive(Debug)]
pub struct DirectWriter<'f> {
    file: &'f File,
    way: Way,
}

/// How a [`DirectWriter`] writes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Way {
    Untried,
    Direct,
    Ordinary,
}

impl<'f> DirectWriter<'f> {
    /// `file` is new and empty. Where its file system refuses, everything goes the ordinary way.
    pub fn new(file: &'f File) -> Self {
        DirectWriter { file, way: Way::Untried }
    }

    /// Writes all bytes behind those that were written.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let rest = &bytes[self.write_pages(bytes)?..];
        if rest.is_empty() {
            return Ok(());
        }
        if self.way == Way::Direct {
            self.file.set_direct(false)?;
        }
        self.way = Way::Ordinary;
        self.file.write_all(rest)
    }

    /// Writes the whole pages of `bytes` past the cache, and says how many bytes those are.
    fn write_pages(&mut self, bytes: &[u8]) -> Result<usize> {
        let lies_in_pages = bytes.as_ptr().align_offset(Pages::SIZE) == 0;
        let whole = bytes.len() - bytes.len() % Pages::SIZE;
        let is_first = self.way == Way::Untried;
        let possible = self.way != Way::Ordinary && lies_in_pages && whole > 0;
        if !possible || (is_first && !self.file.set_direct(true)?) {
            return Ok(0);
        }
        self.way = Way::Direct;
        match self.file.write_all(&bytes[..whole]) {
            // A disk may want more than the flag let us know.
            Err(e) if e.is_unsupported() && is_first => self.file.rewind().map(|()| 0),
            written => written.map(|()| whole),
        }
    }
}

impl File {
    /// Whether writes from now on go past the page cache. False where the file system refuses.
    fn set_direct(&self, direct: bool) -> Result<bool> {
        let set = self.run(Op::SetFlags, || {
            let mut flags = rustix::fs::fcntl_getfl(self)?;
            flags.set(OFlags::DIRECT, direct);
            rustix::fs::fcntl_setfl(self, flags)
        });
        match set {
            Err(e) if e.is_unsupported() => Ok(false),
            set => set.map(|()| true),
        }
    }
}

impl Dir {
    /// Whether large files are better written by a [`DirectWriter`] here: ext4 and XFS store the
    /// pages they are given. Others compress them first (btrfs), or are memory (tmpfs).
    pub fn takes_direct_writes(&self) -> Result<bool> {
        Ok(matches!(self.kind()?, EXT4 | XFS))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::Fs;

    /// Guards that the bytes come out as they went in: whole pages, a rest, memory that does not
    /// begin at a page, nothing; and that they do go past the page cache on a file system where
    /// we promise it: the flag is set for the pages and taken away for a rest.
    #[test]
    fn what_is_written_is_there() {
        let temp = TempDir::new().expect("a folder");
        let dir = Fs::new().open_dir(temp.path()).expect("it is there");
        let mut pages = Pages::zeroed(3 * Pages::SIZE + 100);
        pages.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at / 7) as u8);
        let (whole, all) = (2 * Pages::SIZE, pages.len());
        let cases: [(&[(usize, usize)], u64); 6] = [
            (&[(0, all)], 2),
            (&[(0, whole)], 1),
            (&[(0, whole), (0, whole), (0, all)], 2),
            (&[(0, all), (0, all)], 2),
            (&[(1, all)], 0),
            (&[], 0),
        ];
        let direct = dir.takes_direct_writes().expect("it is told");
        for (number, (pieces, flags)) in cases.into_iter().enumerate() {
            let name = number.to_string();
            let file = dir.create_file(&*name, 0o600).expect("a file");
            let mut writer = DirectWriter::new(&file);
            let mut expected = Vec::new();
            let before = dir.fs().counters();
            for (start, end) in pieces {
                writer.write_all(&pages[*start..*end]).expect("written");
                expected.extend_from_slice(&pages[*start..*end]);
            }
            let set = dir.fs().counters().since(&before).setflags;
            assert!(!direct || set == flags, "{pieces:?}: {set}");
            assert!(dir.read(&*name, 1 << 20).expect("read") == expected, "{pieces:?}");
        }
    }
}
