//! Archives that others made, read as a stream: tar and cpio, packed or not.
//!
//! Nothing in an archive is trusted: sizes are never allocated before they were read, names and
//! records have limits, and a stream that ends early is an error. Paths are given as they stand
//! there; whoever makes a tree of them checks each component.

mod cpio;
mod input;
mod sparse;
mod sparse_map;
mod tar;
mod unpack;

use std::io::{self, Read};

use trefoil_format::cpio::header_len;
use trefoil_format::tar::{BLOCK, Header};

use crate::{RepoError, Result};
use cpio::Cpio;
use input::Input;
use tar::Tar;

/// The longest name or link target, in bytes, as in libarchive.
const MAX_NAME: u64 = 1 << 20;
/// Content of an archive that is not looked at any more, but still unpacked, so that a checksum
/// at the end of the packed stream is compared and a writer at the other end of a pipe finishes.
const MAX_REST: u64 = 1 << 20;

/// One entry. Its content, if any, is read from the [`Archive`] before the next entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As in the archive.
    pub path: Vec<u8>,
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Size of the content in bytes, holes included; not 0 for files and hard links alone.
    pub size: u64,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    /// With its target.
    Symlink(Vec<u8>),
    /// Another name of the file at this path. It may have content: then that is the file's.
    HardLink(Vec<u8>),
    /// Anything that a commit cannot hold, in words.
    Other(&'static str),
}

/// An archive whose format was recognised by its content.
pub(crate) enum Archive<'r> {
    /// At its end, or without a byte, which libarchive takes for an archive without entries.
    Empty,
    Tar(Box<Tar<'r>>),
    Cpio(Box<Cpio<'r>>),
}

impl<'r> Archive<'r> {
    /// Unpacks and recognises `source`. Holes of sparse files beyond `max_hole_bytes` in all
    /// are refused.
    pub fn open(source: &'r mut (dyn Read + Send), max_hole_bytes: u64) -> Result<Self> {
        let failed = |source| RepoError::ArchiveRead { at: 0, source };
        let (start, reader) = unpack::unpack(Box::new(source), BLOCK).map_err(failed)?;
        let input = Input::new(reader);
        if start.is_empty() {
            return Ok(Archive::Empty);
        }
        if header_len(&start).is_some() {
            return Ok(Archive::Cpio(Box::new(Cpio::new(input))));
        }
        match start.first_chunk::<BLOCK>().map(Header::parse) {
            Some(Ok(_)) => Ok(Archive::Tar(Box::new(Tar::new(input, max_hole_bytes)))),
            _ => Err(RepoError::Refused("Unrecognized archive format".to_string())),
        }
    }

    /// The next entry; what was not read of the one before is passed over. Behind the last one
    /// the rest of the stream is unpacked, and there is nothing more.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let (next, input) = match self {
            Archive::Empty => return Ok(None),
            Archive::Tar(tar) => (tar.next_entry()?, &mut tar.input),
            Archive::Cpio(cpio) => (cpio.next_entry()?, &mut cpio.input),
        };
        if next.is_none() {
            input.drain(MAX_REST)?;
            *self = Archive::Empty;
        }
        Ok(next)
    }

    /// Position in the unpacked archive.
    pub fn at(&self) -> u64 {
        match self {
            Archive::Empty => 0,
            Archive::Tar(tar) => tar.input.at(),
            Archive::Cpio(cpio) => cpio.input.at(),
        }
    }
}

/// The content of the entry that [`Archive::next_entry`] gave last.
impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Archive::Empty => Ok(0),
            Archive::Tar(tar) => tar.read(buffer),
            Archive::Cpio(cpio) => cpio.read(buffer),
        }
    }
}

fn owner(id: u64, at: u64) -> Result<u32> {
    let problem = || format!("owner {id} out of range");
    u32::try_from(id).map_err(|_| RepoError::Archive { at, problem: problem() })
}
