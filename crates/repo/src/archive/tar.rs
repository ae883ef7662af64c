use std::io::{self, Read};

use trefoil_format::tar::pax::{Records, XATTR};
use trefoil_format::tar::{BLOCK, Header, Variant, decimal};

use super::input::Input;
use super::sparse::Layout;
use super::sparse_map::Sparse;
use super::{Entry, EntryKind, MAX_NAME, owner};
use crate::Result;

/// The extended records of one entry, in bytes: libarchive's limit for one attribute, twice.
const MAX_RECORDS: u64 = 32 << 20;
/// An attribute as libarchive records it besides: name and value encoded.
const LIBARCHIVE_XATTR: &[u8] = b"LIBARCHIVE.xattr.";
const GNU_SPARSE: &[u8] = b"GNU.sparse.";

/// Entries of a tar archive.
pub(crate) struct Tar<'r> {
    pub(super) input: Input<'r>,
    layout: Layout,
    pub(super) stored: u64,
    padding: u64,
    /// Whether it is certain that this is a pax archive, where hard links may have content.
    is_pax: bool,
    pub(super) holes_left: u64,
}

/// What stood before the header of an entry.
#[derive(Default)]
struct Extra {
    any: bool,
    pax: bool,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: Sparse,
}

impl<'r> Tar<'r> {
    pub fn new(input: Input<'r>, max_hole_bytes: u64) -> Self {
        let layout = Layout::default();
        Tar { input, layout, stored: 0, padding: 0, is_pax: false, holes_left: max_hole_bytes }
    }

    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut extra = Extra::default();
        let mut block = [0; BLOCK];
        loop {
            self.input.skip(self.stored)?;
            self.input.skip(self.padding)?;
            (self.stored, self.padding) = (0, 0);
            let begun = self.input.fill_or_end(&mut block)?;
            let header = self.input.checked(Header::parse(&block))?;
            let Some(header) = header.filter(|_| begun) else {
                return match extra.any {
                    true => Err(self.input.damaged("ends within a sequence of headers")),
                    false => Ok(None),
                };
            };
            if !self.extension(&header, &mut extra)? {
                return self.entry(&header, extra).map(Some);
            }
        }
    }

    /// Takes in what only tells of the entry that follows; false where this is the entry.
    fn extension(&mut self, header: &Header<'_>, extra: &mut Extra) -> Result<bool> {
        let kind = header.type_flag();
        if !matches!(kind, b'K' | b'L' | b'x' | b'X' | b'g' | b'V') {
            return Ok(false);
        }
        let size = self.input.checked(header.size())?;
        self.set_stored(size)?;
        match kind {
            b'K' => extra.link = Some(self.long_name(size)?),
            b'L' => extra.path = Some(self.long_name(size)?),
            b'x' | b'X' if extra.pax => return Err(self.input.damaged("redundant 'x' header")),
            b'x' | b'X' => {
                let bytes = self.take(size, MAX_RECORDS, "extended header")?;
                (extra.pax, self.is_pax) = (true, true);
                self.records(&bytes, extra)?;
            }
            // Records for all entries, and volume labels: passed over, as by libarchive.
            b'g' => self.is_pax = true,
            _ => {}
        }
        extra.any |= !matches!(kind, b'g' | b'V');
        Ok(true)
    }

    fn set_stored(&mut self, size: u64) -> Result<()> {
        let whole = size.checked_next_multiple_of(BLOCK as u64);
        let whole = whole.ok_or_else(|| self.input.damaged("size out of range"))?;
        (self.stored, self.padding) = (size, whole - size);
        Ok(())
    }

    /// Reads from what the entry has stored.
    fn take(&mut self, len: u64, limit: u64, what: &str) -> Result<Vec<u8>> {
        let bytes = self.input.read_bytes(len, limit, what)?;
        self.stored -= len;
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.take(size, MAX_NAME, "name")?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn records(&self, bytes: &[u8], extra: &mut Extra) -> Result<()> {
        for record in Records::new(bytes) {
            let record = self.input.checked(record)?;
            let value = record.value;
            let number = |what| self.input.checked(decimal(value, what)).map(Some);
            let name = || match value.len() as u64 <= MAX_NAME && !value.contains(&0) {
                true => Ok((!value.is_empty()).then(|| value.to_vec())),
                false => Err(self.input.damaged("a name that is too long, or has a NUL in it")),
            };
            match record.key {
                b"path" => extra.path = name()?,
                b"linkpath" => extra.link = name()?,
                b"uid" => extra.uid = number("uid")?,
                b"gid" => extra.gid = number("gid")?,
                b"size" => extra.size = number("size")?,
                b"RHT.security.selinux" => {
                    extra.xattrs.push((b"security.selinux".to_vec(), value.to_vec()));
                }
                key => {
                    if let Some(key) = key.strip_prefix(GNU_SPARSE) {
                        self.sparse_record(key, value, &mut extra.sparse)?;
                    } else if let Some(xattr) = xattr(key, value) {
                        extra.xattrs.push(xattr);
                    }
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header<'_>, extra: Extra) -> Result<Entry> {
        let at = self.input.at();
        let size = extra.size.map_or_else(|| self.input.checked(header.size()), Ok)?;
        let path = extra.sparse.name.clone().or(extra.path).unwrap_or_else(|| header.name());
        let link = extra.link.unwrap_or_else(|| header.link_name().to_vec());
        let mut kind = match header.type_flag() {
            b'1' => EntryKind::HardLink(link),
            b'2' => EntryKind::Symlink(link),
            b'3' => EntryKind::Other("character device"),
            b'4' => EntryKind::Other("block device"),
            b'5' | b'D' => EntryKind::Directory,
            b'6' => EntryKind::Other("fifo"),
            b'M' => EntryKind::Other("continuation of a file in another volume"),
            // What is not known is a file, as POSIX has it.
            _ => EntryKind::File,
        };
        let size = match &kind {
            EntryKind::HardLink(_) if !self.link_has_content(header) => 0,
            EntryKind::File | EntryKind::HardLink(_) => size,
            // What GNU tar keeps of a directory in an incremental archive.
            EntryKind::Directory if header.type_flag() == b'D' => size,
            _ => 0,
        };
        self.set_stored(size)?;
        self.layout = match kind {
            EntryKind::File => self.layout_of(header, &extra.sparse)?,
            _ => Layout::plain(self.stored),
        };
        // Some programs write directories so.
        if kind == EntryKind::File && path.ends_with(b"/") {
            kind = EntryKind::Directory;
        }
        let has_content = matches!(kind, EntryKind::File | EntryKind::HardLink(_));
        let uid = extra.uid.map_or_else(|| self.input.checked(header.uid()), Ok)?;
        let gid = extra.gid.map_or_else(|| self.input.checked(header.gid()), Ok)?;
        Ok(Entry {
            path,
            kind,
            mode: self.input.checked(header.permissions())?,
            uid: owner(uid, at)?,
            gid: owner(gid, at)?,
            size: if has_content { self.layout.size() } else { 0 },
            xattrs: extra.xattrs,
        })
    }

    /// Before pax the size of a hard link meant nothing, and old programs wrote that of the
    /// file without its content.
    fn link_has_content(&self, header: &Header<'_>) -> bool {
        self.is_pax && header.variant() == Variant::Ustar
    }
}

impl Read for Tar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.layout.read(&mut self.input, &mut self.stored, buffer)
    }
}

/// The extended attribute in a record, if it is one.
fn xattr(key: &[u8], value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if let Some(name) = key.strip_prefix(XATTR.as_bytes()) {
        return Some((name.to_vec(), value.to_vec()));
    }
    let name = url_decode(key.strip_prefix(LIBARCHIVE_XATTR)?);
    let unpadded = value.trim_ascii_end();
    let end = unpadded.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let value = data_encoding::BASE64_NOPAD.decode(&unpadded[..end]).ok()?;
    Some((name, value))
}

fn url_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *byte == b'%');
        let code = hex.and_then(|hex| data_encoding::HEXUPPER_PERMISSIVE.decode(hex).ok());
        match code {
            Some(code) => {
                decoded.extend(code);
                rest = &tail[2..];
            }
            None => {
                decoded.push(*byte);
                rest = tail;
            }
        }
    }
    decoded
}
