use std::collections::HashMap;
use std::io::{self, Read};

use trefoil_format::cpio::{Header, MAX_HEADER, TRAILER, header_len};

use super::input::Input;
use super::sparse::Layout;
use super::{Entry, EntryKind, MAX_NAME};
use crate::Result;

const S_IFMT: u32 = 0o170_000;
/// How many bytes tell which header it is.
const MAGIC: usize = 6;

/// Entries of a cpio archive.
pub(crate) struct Cpio<'r> {
    pub(super) input: Input<'r>,
    layout: Layout,
    stored: u64,
    padding: u64,
    /// The first name of every file with several, and how many are to come.
    links: HashMap<(u64, u64), (Vec<u8>, u32)>,
}

impl<'r> Cpio<'r> {
    pub fn new(input: Input<'r>) -> Self {
        Cpio { input, layout: Layout::default(), stored: 0, padding: 0, links: HashMap::new() }
    }

    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.input.skip(self.stored)?;
        self.input.skip(self.padding)?;
        let header = self.header()?;
        let mut path = self.input.read_bytes(header.name_len, MAX_NAME, "name")?;
        self.input.skip(padding(header.len as u64 + header.name_len, header.align))?;
        path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(path.len()));
        (self.stored, self.padding) = (header.size, padding(header.size, header.align));
        self.layout = Layout::plain(header.size);
        if path == TRAILER {
            return Ok(None);
        }
        let mut kind = self.kind(&header)?;
        if let Some(first) = self.first_name(&header, &path) {
            kind = EntryKind::HardLink(first);
        }
        let has_content = matches!(kind, EntryKind::File | EntryKind::HardLink(_));
        if !has_content {
            self.layout = Layout::default();
        }
        Ok(Some(Entry {
            path,
            kind,
            mode: header.mode & 0o7777,
            uid: header.uid,
            gid: header.gid,
            size: if has_content { self.stored } else { 0 },
            xattrs: Vec::new(),
        }))
    }

    fn header(&mut self) -> Result<Header> {
        let mut bytes = [0; MAX_HEADER];
        self.input.fill(&mut bytes[..MAGIC])?;
        let len = header_len(&bytes).ok_or_else(|| self.input.damaged("not a cpio header"))?;
        self.input.fill(&mut bytes[MAGIC..len])?;
        self.input.checked(Header::parse(&bytes[..len]))
    }

    fn kind(&mut self, header: &Header) -> Result<EntryKind> {
        Ok(match header.mode & S_IFMT {
            0o100_000 => EntryKind::File,
            0o040_000 => EntryKind::Directory,
            0o120_000 => {
                let target = self.input.read_bytes(self.stored, MAX_NAME, "link target")?;
                self.stored = 0;
                EntryKind::Symlink(target)
            }
            0o020_000 => EntryKind::Other("character device"),
            0o060_000 => EntryKind::Other("block device"),
            0o010_000 => EntryKind::Other("fifo"),
            _ => EntryKind::Other("file of unknown type"),
        })
    }

    /// The name that the file of `header` had first, if this is not it.
    fn first_name(&mut self, header: &Header, path: &[u8]) -> Option<Vec<u8>> {
        if header.links <= 1 || header.mode & S_IFMT == 0o040_000 {
            return None;
        }
        let Some((first, left)) = self.links.get_mut(&header.inode) else {
            self.links.insert(header.inode, (path.to_vec(), header.links - 1));
            return None;
        };
        *left = left.saturating_sub(1);
        match left {
            0 => self.links.remove(&header.inode).map(|(first, _)| first),
            _ => Some(first.clone()),
        }
    }
}

impl Read for Cpio<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.layout.read(&mut self.input, &mut self.stored, buffer)
    }
}

fn padding(len: u64, align: u64) -> u64 {
    len.next_multiple_of(align) - len
}
