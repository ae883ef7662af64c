use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::ops::Op;
use crate::{File, FsError, Result};

/// How the content of a file came over.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CopyMethod {
    /// The blocks are shared until one side is written.
    Reflink,
    /// The kernel copied the bytes.
    InKernel,
    /// Read and written by us.
    ReadWrite,
}

/// Largest single request: the kernel copies less at once anyway.
const STEP: usize = 1 << 30;

impl File {
    /// Gives this new, empty file the content that `source` has at this moment, by sharing its
    /// blocks. False where the file systems cannot.
    pub fn reflink_from(&self, source: &File) -> Result<bool> {
        match self.run(Op::Copy, || rustix::fs::ioctl_ficlone(self, source)) {
            Ok(()) => Ok(true),
            Err(e) if falls_back(e.errno()) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Copies the data of `source` to the offset `at` of this file and leaves its holes out:
    /// what lies there already stays. Gives the bytes copied.
    pub fn copy_data_from(&self, source: &File, at: u64) -> Result<u64> {
        let failed = |e: Errno| FsError::new("seek", source.path(), e);
        let (mut copied, mut from) = (0, 0);
        loop {
            let start = match rustix::fs::seek(source, SeekFrom::Data(from)) {
                Ok(start) => start,
                // There is no more data.
                Err(Errno::NXIO) => return Ok(copied),
                Err(e) => return Err(failed(e)),
            };
            let end = rustix::fs::seek(source, SeekFrom::Hole(start)).map_err(failed)?;
            self.copy_range(source, start, end, at)?;
            copied += end - start;
            from = end;
        }
    }

    fn copy_range(&self, source: &File, start: u64, end: u64, at: u64) -> Result<()> {
        let (mut from, mut to) = (start, at + start);
        let mut buffer = vec![0; 1 << 20];
        while from < end {
            let want = usize::try_from(end - from).map_or(buffer.len(), |n| n.min(buffer.len()));
            let read =
                source.run(Op::Read, || rustix::io::pread(source, &mut buffer[..want], from))?;
            if read == 0 {
                return Ok(());
            }
            let mut done = 0;
            while done < read {
                let rest = &buffer[done..read];
                done += self.run(Op::Write, || rustix::io::pwrite(self, rest, to + done as u64))?;
            }
            self.fs().wrote(read as u64);
            (from, to) = (from + read as u64, to + read as u64);
        }
        Ok(())
    }

    /// Fills this new, empty file with the content of `source`, cheapest way first: reflink,
    /// copy inside the kernel, read and write.
    pub fn copy_from(&self, source: &File) -> Result<CopyMethod> {
        if self.reflink_from(source)? {
            return Ok(CopyMethod::Reflink);
        }
        let mut copied = 0u64;
        loop {
            let step =
                self.run(Op::Copy, || rustix::fs::copy_file_range(source, None, self, None, STEP));
            match step {
                Ok(0) => return Ok(CopyMethod::InKernel),
                Ok(n) => {
                    copied += n as u64;
                    self.fs().wrote(n as u64);
                }
                Err(e) if copied == 0 && falls_back(e.errno()) => break,
                Err(e) => return Err(e),
            }
        }
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match source.read_some(&mut buffer)? {
                0 => return Ok(CopyMethod::ReadWrite),
                n => self.write_all(&buffer[..n])?,
            }
        }
    }
}

/// Errors that mean "not this way here" rather than "cannot be copied".
fn falls_back(errno: Option<i32>) -> bool {
    let not_here = [
        Errno::OPNOTSUPP,
        Errno::XDEV,
        Errno::INVAL,
        Errno::NOSYS,
        Errno::NOTTY,
        Errno::PERM,
        Errno::BADF,
        Errno::TXTBSY,
    ];
    not_here.iter().any(|e| errno == Some(e.raw_os_error()))
}
