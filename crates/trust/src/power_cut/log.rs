//! The log of a disk: every write and every flush, in the order they were done.
//!
//! The format is that of the kernel's log-writes target, which QEMU's `blklogwrites` writes: a
//! sector that describes the log, then for each request a sector with four little-endian
//! numbers, and behind it the data of a write.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Result;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
/// The sector that we tell `blklogwrites` to count in, in bytes.
pub const SECTOR: u64 = 512;
const HEADER: usize = 32;

/// What the disk was asked to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// All writes that were finished before are durable now.
    Flush,
    /// Bytes went to the disk.
    Write(Write),
}

/// A write, and where its data lies in the log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where on the disk, in bytes.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
    /// Where in the log; `None` for zeros.
    pub data: Option<u64>,
}

/// A log that may still grow.
#[derive(Debug)]
pub struct Log {
    file: File,
    /// All that was read so far.
    pub entries: Vec<Entry>,
    next: u64,
}

impl Log {
    /// Opens a log; nothing is read yet.
    pub fn open(path: &Path) -> Result<Log> {
        Ok(Log { file: File::open(path)?, entries: Vec::new(), next: SECTOR })
    }

    /// Reads what was added, and gives the number of entries there are.
    pub fn refresh(&mut self) -> Result<usize> {
        let mut header = [0; HEADER];
        while self.file.read_at(&mut header, self.next)? == HEADER {
            let [sector, sectors, flags, _] = numbers(&header);
            // The log lies in a file of zeros: no request is without length and flags.
            if sectors == 0 && flags == 0 {
                break;
            }
            let data = self.next + SECTOR;
            self.next = data;
            if flags & FLUSH != 0 {
                self.entries.push(Entry::Flush);
            }
            if sectors > 0 {
                // A hole was made, which reads as zeros: it is how a loop device writes them.
                let hole = flags & DISCARD != 0;
                let (at, len) = (sector * SECTOR, sectors * SECTOR);
                let data = (!hole).then_some(data);
                self.entries.push(Entry::Write(Write { at, len, data }));
                self.next += if hole { 0 } else { len };
            }
        }
        Ok(self.entries.len())
    }

    /// Whether this is such a log at all; to be asked after the first flush.
    pub fn check(&self) -> Result<()> {
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, 0)?;
        let [magic, version, _, sector] = numbers(&header);
        match (magic, version, sector & 0xffff_ffff) {
            (MAGIC, 1, SECTOR) => Ok(()),
            other => Err(format!("this is no log of writes: {other:?}").into()),
        }
    }

    /// Does to `disk` what a part of a write did, `skip` bytes into it.
    pub fn apply(&self, disk: &File, write: &Write, skip: u64, len: u64) -> Result<()> {
        let bytes = self.read_part(write, skip, len)?;
        Ok(disk.write_all_at(&bytes, write.at + skip)?)
    }

    /// A part of the bytes of a write.
    pub fn read_part(&self, write: &Write, skip: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        if let Some(data) = write.data {
            self.file.read_exact_at(&mut bytes, data + skip)?;
        }
        Ok(bytes)
    }

    /// The bytes of a write.
    #[cfg(test)]
    pub fn read(&self, write: &Write) -> Result<Vec<u8>> {
        self.read_part(write, 0, write.len)
    }

    /// Does to `disk` all that was done by the entries of `range`.
    pub fn replay(&self, disk: &File, range: std::ops::Range<usize>) -> Result<()> {
        for entry in &self.entries[range] {
            if let Entry::Write(write) = entry {
                self.apply(disk, write, 0, write.len)?;
            }
        }
        Ok(())
    }
}

fn numbers(header: &[u8; HEADER]) -> [u64; 4] {
    let mut out = [0; 4];
    for (number, bytes) in out.iter_mut().zip(header.chunks_exact(8)) {
        *number = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    out
}
