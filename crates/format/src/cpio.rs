//! The headers of cpio archives with text headers: `newc` (SVR4, with or without checksums)
//! and `odc` (POSIX 1988).

use crate::error::{FormatError, Result};

/// Size of the longest header, in bytes.
pub const MAX_HEADER: usize = 110;
/// The name of the entry that ends an archive.
pub const TRAILER: &[u8] = b"TRAILER!!!";

const WHAT: &str = "cpio header";
const ODC_LEN: usize = 76;
const ODC: [usize; 10] = [6, 6, 6, 6, 6, 6, 6, 11, 6, 11];
const NEWC_FIELDS: usize = 13;

/// What a header tells. Its name follows, and then its content, each padded to
/// [`Header::align`] bytes as counted from the start of the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Device and inode: equal ones with several links are one file.
    pub inode: (u64, u64),
    /// File type and permissions.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Number of names the file had.
    pub links: u32,
    /// Size of the content in bytes.
    pub size: u64,
    /// Size of the name in bytes, with the NUL at its end.
    pub name_len: u64,
    /// Size of the header in bytes.
    pub len: usize,
    /// 4 for `newc`, 1 for `odc`.
    pub align: u64,
}

/// The size of the header that begins with these 6 bytes; `None` where they begin none.
pub fn header_len(magic: &[u8]) -> Option<usize> {
    match magic.get(..6)? {
        b"070701" | b"070702" => Some(MAX_HEADER),
        b"070707" => Some(ODC_LEN),
        _ => None,
    }
}

impl Header {
    /// Reads a header of the size that [`header_len`] gives.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = || FormatError::invalid(WHAT, "not a header");
        let len = header_len(bytes).ok_or_else(wrong)?;
        let mut rest = bytes.get(6..len).ok_or_else(wrong)?;
        let radix = if len == ODC_LEN { 8 } else { 16 };
        let widths = if len == ODC_LEN { &ODC[..] } else { &[8; NEWC_FIELDS][..] };
        let mut fields = [0_u64; NEWC_FIELDS];
        for (field, width) in fields.iter_mut().zip(widths) {
            let (text, after) = rest.split_at_checked(*width).ok_or_else(wrong)?;
            let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
            let value = text.and_then(|text| u64::from_str_radix(text, radix).ok());
            *field = value.ok_or_else(|| FormatError::invalid(WHAT, "a field is no number"))?;
            rest = after;
        }
        Ok(match (len, fields) {
            (ODC_LEN, [dev, ino, mode, uid, gid, links, _, _, name_len, size, ..]) => Header {
                inode: (dev, ino),
                mode: mode as u32,
                uid: uid as u32,
                gid: gid as u32,
                links: links as u32,
                size,
                name_len,
                len,
                align: 1,
            },
            (_, [ino, mode, uid, gid, links, _, size, major, minor, _, _, name_len, _]) => Header {
                inode: (major << 32 | minor, ino),
                mode: mode as u32,
                uid: uid as u32,
                gid: gid as u32,
                links: links as u32,
                size,
                name_len,
                len,
                align: 4,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the places of the fields in both forms.
    #[test]
    fn headers_are_read() {
        let newc = "070701\
            00000001000081A400000002000000030000000400000005000000060000000700000008\
            000000000000000000000009000000000";
        let read = Header::parse(newc.as_bytes()).expect("newc");
        assert_eq!((read.inode, read.mode), ((7 << 32 | 8, 1), 0o100_644));
        assert_eq!((read.uid, read.gid, read.links, read.size), (2, 3, 4, 6));
        assert_eq!((read.name_len, read.len, read.align), (9, 110, 4));
        let odc = "0707070000010000021006440000030000040000050000060000000000700001100000000012";
        let read = Header::parse(odc.as_bytes()).expect("odc");
        assert_eq!((read.inode, read.mode), ((1, 2), 0o100_644));
        assert_eq!((read.uid, read.gid, read.links, read.size), (3, 4, 5, 10));
        assert_eq!((read.name_len, read.len, read.align), (9, 76, 1));
        Header::parse(b"070701").expect_err("too short");
        Header::parse(&[b'x'; 110]).expect_err("no header");
    }
}
