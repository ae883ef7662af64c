//! The headers of tar archives: old, ustar, GNU and pax, as GNU tar and libarchive read them.
//!
//! A header is one block of 512 bytes, and so is every record around it: content is padded to
//! whole blocks. Extended records ([`pax`]) are the content of an entry of their own.

mod number;
pub mod pax;
mod write;

use crate::error::{FormatError, Result};
pub use number::decimal;
use number::number;
pub use write::{GnuEntry, gnu_entry};

/// Size of a header and the unit of padding, in bytes.
pub const BLOCK: usize = 512;
/// One block.
pub type Block = [u8; BLOCK];

const WHAT: &str = "tar header";
const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const SIZE: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK_NAME: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;
/// Of a GNU sparse file: four extents, a flag that more follow, and the size with holes.
const GNU_EXTENTS: std::ops::Range<usize> = 386..482;
const GNU_MORE: usize = 482;
const GNU_REAL_SIZE: std::ops::Range<usize> = 483..495;
/// Of a block of further extents.
const MORE_EXTENTS: std::ops::Range<usize> = 0..504;
const MORE_MORE: usize = 504;
const EXTENT: usize = 24;
const GNU_MAGIC: &[u8] = b"ustar  \0";

/// Which of the formats that share the block a header is of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Before POSIX: no magic.
    Old,
    /// POSIX 1988; pax archives use it too.
    Ustar,
    /// GNU tar's own.
    Gnu,
}

/// A stretch of data in a sparse file, in bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub start: u64,
    /// How long it is.
    pub len: u64,
}

/// The extents of a sparse file that a block lists, and whether another block of them follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extents {
    /// In the order of the block.
    pub list: Vec<Extent>,
    /// Whether another block follows.
    pub more: bool,
}

/// A header whose checksum is right.
#[derive(Copy, Clone, Debug)]
pub struct Header<'a>(&'a Block);

impl<'a> Header<'a> {
    /// Takes a block as a header; `None` for the block of zeros that ends an archive.
    ///
    /// # Errors
    /// A wrong checksum. As elsewhere the sum may be that of signed bytes, which some old
    /// programs wrote.
    pub fn parse(block: &'a Block) -> Result<Option<Self>> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let wrong = || FormatError::invalid(WHAT, "bad header checksum");
        let field = &block[CHECKSUM];
        if field.iter().any(|byte| !matches!(byte, b' ' | 0 | b'0'..=b'7')) {
            return Err(wrong());
        }
        let expected = i64::try_from(number(field, "checksum")?).map_err(|_| wrong())?;
        let blank = |at: usize, byte: u8| if CHECKSUM.contains(&at) { b' ' } else { byte };
        let bytes = || block.iter().enumerate().map(|(at, byte)| blank(at, *byte));
        let unsigned: i64 = bytes().map(i64::from).sum();
        let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
        if expected != unsigned && expected != signed {
            return Err(wrong());
        }
        Ok(Some(Header(block)))
    }

    /// The letter that tells what the entry is.
    pub fn type_flag(&self) -> u8 {
        self.0[TYPE]
    }

    /// Which format the header is of.
    pub fn variant(&self) -> Variant {
        match &self.0[MAGIC] {
            magic if magic == GNU_MAGIC => Variant::Gnu,
            magic if magic.starts_with(b"ustar") => Variant::Ustar,
            _ => Variant::Old,
        }
    }

    /// The path, with the prefix that ustar may have before it.
    pub fn name(&self) -> Vec<u8> {
        let prefix = text(&self.0[PREFIX]);
        let name = text(&self.0[NAME]);
        if self.variant() != Variant::Ustar || prefix.is_empty() {
            return name.to_vec();
        }
        let slash: &[u8] = if prefix.ends_with(b"/") { b"" } else { b"/" };
        [prefix, slash, name].concat()
    }

    /// The target of a hard or symbolic link.
    pub fn link_name(&self) -> &'a [u8] {
        text(&self.0[LINK_NAME])
    }

    /// The permission bits; what else is in the field is dropped.
    pub fn permissions(&self) -> Result<u32> {
        Ok((number(&self.0[MODE], "mode")? & 0o7777) as u32)
    }

    /// The numeric owner.
    pub fn uid(&self) -> Result<u64> {
        number(&self.0[UID], "owner")
    }

    /// The numeric group.
    pub fn gid(&self) -> Result<u64> {
        number(&self.0[GID], "group")
    }

    /// The size of what follows in bytes, without padding.
    pub fn size(&self) -> Result<u64> {
        number(&self.0[SIZE], "size")
    }

    /// Of a GNU sparse file, its size with holes in bytes.
    pub fn real_size(&self) -> Result<u64> {
        number(&self.0[GNU_REAL_SIZE], "real size")
    }

    /// Of a GNU sparse file, the first extents.
    pub fn extents(&self) -> Result<Extents> {
        extents(&self.0[GNU_EXTENTS], self.0[GNU_MORE])
    }
}

/// Reads a block of further extents, which follows the header of a GNU sparse file.
pub fn more_extents(block: &Block) -> Result<Extents> {
    extents(&block[MORE_EXTENTS], block[MORE_MORE])
}

fn extents(list: &[u8], more: u8) -> Result<Extents> {
    let used = list.chunks_exact(EXTENT).take_while(|extent| extent[0] != 0);
    let extent = |field: &[u8]| {
        let (start, len) = field.split_at(EXTENT / 2);
        Ok(Extent { start: number(start, "sparse offset")?, len: number(len, "sparse size")? })
    };
    Ok(Extents { list: used.map(extent).collect::<Result<_>>()?, more: more != 0 })
}

/// A field of text: what stands before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(entry: &GnuEntry<'_>) -> Block {
        let bytes = gnu_entry(entry);
        bytes[bytes.len() - BLOCK..].try_into().expect("one block")
    }

    /// Guards that what is written is read again, and that one changed bit is noticed.
    #[test]
    fn headers_are_checked() {
        let entry = GnuEntry {
            path: b"usr/bin/x",
            link: b"",
            kind: b'0',
            permissions: 0o4755,
            uid: 3_000_000,
            gid: 7,
            size: 10_000_000_000,
            mtime: 1_700_000_000,
        };
        let mut block = header(&entry);
        let read = Header::parse(&block).expect("valid").expect("not the end");
        assert_eq!(read.name(), b"usr/bin/x");
        assert_eq!(read.variant(), Variant::Gnu);
        assert_eq!(read.permissions().expect("mode"), 0o4755);
        assert_eq!((read.uid().expect("uid"), read.gid().expect("gid")), (3_000_000, 7));
        assert_eq!(read.size().expect("size"), 10_000_000_000);
        assert!(Header::parse(&[0; BLOCK]).expect("the end").is_none());
        block[3] ^= 1;
        Header::parse(&block).expect_err("the checksum is wrong");
    }

    /// Guards the joining of prefix and name, and that GNU headers have no prefix.
    #[test]
    fn prefixes_are_joined() {
        let mut block = [0; BLOCK];
        block[..1].copy_from_slice(b"b");
        block[PREFIX.start..PREFIX.start + 1].copy_from_slice(b"a");
        block[MAGIC].copy_from_slice(b"ustar\x0000");
        assert_eq!(Header(&block).name(), b"a/b");
        block[MAGIC].copy_from_slice(GNU_MAGIC);
        assert_eq!(Header(&block).name(), b"b");
    }
}
