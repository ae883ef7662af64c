use std::io::{self, Read};

use trefoil_format::error::FormatError;

use crate::{RepoError, Result};

/// The unpacked bytes of an archive, and how many were read.
pub(crate) struct Input<'r> {
    reader: Box<dyn Read + Send + 'r>,
    at: u64,
}

impl<'r> Input<'r> {
    pub fn new(reader: Box<dyn Read + Send + 'r>) -> Self {
        Input { reader, at: 0 }
    }

    /// Position in the unpacked bytes.
    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn damaged(&self, problem: impl Into<String>) -> RepoError {
        RepoError::Archive { at: self.at, problem: problem.into() }
    }

    pub fn checked<T>(&self, result: std::result::Result<T, FormatError>) -> Result<T> {
        result.map_err(|e| self.damaged(e.to_string()))
    }

    /// Fills `buffer`; false where the archive ends before its first byte.
    pub fn fill_or_end(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            let n = self.read(&mut buffer[filled..]);
            match n.map_err(|source| RepoError::ArchiveRead { at: self.at, source })? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(self.damaged("truncated")),
                n => filled += n,
            }
        }
        Ok(true)
    }

    /// Fills `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        match self.fill_or_end(buffer)? {
            true => Ok(()),
            false => Err(self.damaged("truncated")),
        }
    }

    /// The next `len` bytes, where these are no more than `limit`. Memory grows with what is
    /// really there.
    pub fn read_bytes(&mut self, len: u64, limit: u64, what: &str) -> Result<Vec<u8>> {
        if len > limit {
            return Err(self.damaged(format!("{what} of {len} bytes exceeds {limit}")));
        }
        let mut bytes = Vec::new();
        let read = (&mut *self).take(len).read_to_end(&mut bytes);
        read.map_err(|source| RepoError::ArchiveRead { at: self.at, source })?;
        match bytes.len() as u64 == len {
            true => Ok(bytes),
            false => Err(self.damaged("truncated")),
        }
    }

    /// Passes over `len` bytes.
    pub fn skip(&mut self, len: u64) -> Result<()> {
        match self.pass(len)? {
            passed if passed == len => Ok(()),
            _ => Err(self.damaged("truncated")),
        }
    }

    /// Reads to the end, but no more than `limit` bytes.
    pub fn drain(&mut self, limit: u64) -> Result<()> {
        self.pass(limit).map(drop)
    }

    fn pass(&mut self, len: u64) -> Result<u64> {
        let passed = io::copy(&mut (&mut *self).take(len), &mut io::sink());
        passed.map_err(|source| RepoError::ArchiveRead { at: self.at, source })
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(n) => {
                    self.at += n as u64;
                    return Ok(n);
                }
            }
        }
    }
}
