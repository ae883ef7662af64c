//! Headers of content objects.
//!
//! A file object is hashed as a frame around its header `(uuuusa(ayay))` and the content behind
//! it. The frame is the length of the header as a big-endian number of four bytes and four zero
//! bytes. Archive repositories store the same frame around `(tuuuusa(ayay))`, which adds the
//! size, and behind it the content as a raw deflate stream; bare-user repositories store
//! `(uuua(ayay))` in an extended attribute.

use crate::checksum::{Checksum, Hasher};
use crate::dirmeta::{Owner, be_u32, owner, push_owner, read_owner, write_owner};
use crate::error::{FormatError, Result};
use crate::gvariant::frame::{Fault, Members, Span, push_offsets, string};
use crate::mode::{self, S_IFLNK, S_IFMT, S_IFREG};
use crate::object::MAX_FILE_HEADER_SIZE;
use crate::xattrs::Xattrs;

const FILE: &str = "file header";
const ARCHIVE: &str = "archive header";
const BARE_USER: &str = "user.ostreemeta";

/// Longest target of a symbolic link in bytes (`PATH_MAX` of Linux).
pub const MAX_TARGET_LEN: usize = 4096;

/// Bytes before a framed header: its length and padding.
pub const FRAME_LEN: usize = 8;

/// Everything about a file object but its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileHeader {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permissions and the type, `S_IFREG` or `S_IFLNK`.
    pub mode: u32,
    /// Target of a symbolic link; `None` for a regular file.
    pub symlink_target: Option<String>,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl FileHeader {
    /// Reads the unframed form `(uuuusa(ayay))`.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let fault = |fault: Fault| fault.of(FILE);
        let members = Members::new(Span::new(data), 1).map_err(fault)?;
        Self::read(members, FILE, Xattrs::parse_span)
    }

    /// Returns the unframed form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(64);
        self.write(&mut buffer, 0);
        buffer
    }

    /// Returns the framed form, which is what the checksum of a file starts with.
    pub fn framed(&self) -> Vec<u8> {
        framed(|buffer, start| self.write(buffer, start))
    }

    /// Returns a hasher that has taken the framed header; the content comes next.
    pub fn hasher(&self) -> Hasher {
        let mut hasher = Hasher::new();
        hasher.update(&self.framed());
        hasher
    }

    /// Returns the checksum of the object when there is no content: that of an empty file or a
    /// symbolic link.
    pub fn checksum_of_empty(&self) -> Checksum {
        self.hasher().finish()
    }

    /// Returns the checksum of the object with this content.
    pub fn checksum_of(&self, content: &[u8]) -> Checksum {
        let mut hasher = self.hasher();
        hasher.update(content);
        hasher.finish()
    }

    /// Tells whether this is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.mode & S_IFMT == S_IFLNK
    }

    /// Tells whether this is a regular file.
    pub fn is_regular(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    /// Reads the members from uid on.
    fn read<'a>(
        mut members: Members<'a>,
        what: &'static str,
        read_xattrs: fn(Span<'a>, &'static str) -> Result<Xattrs>,
    ) -> Result<Self> {
        let fault = |fault: Fault| fault.of(what);
        let Owner { uid, gid, mode } = owner(&mut members).map_err(fault)?;
        let rdev = be_u32(&mut members).map_err(fault)?;
        let target = members.framed(1).and_then(string).map_err(fault)?;
        let xattrs = read_xattrs(members.last(1).map_err(fault)?, what)?;
        mode::check(mode, &[S_IFREG, S_IFLNK], what)?;
        if rdev != 0 {
            return Err(FormatError::invalid(what, format!("invalid rdev {rdev}")));
        }
        let symlink_target = match (mode & S_IFMT == S_IFLNK, target) {
            (true, target) => Some(target.to_owned()),
            (false, "") => None,
            (false, _) => {
                return Err(FormatError::invalid(what, "a regular file with a symlink target"));
            }
        };
        Ok(FileHeader { uid, gid, mode, symlink_target, xattrs })
    }

    /// Appends the members from uid on to the tuple that starts at `start`.
    fn write(&self, buffer: &mut Vec<u8>, start: usize) {
        debug_assert_eq!(self.is_symlink(), self.symlink_target.is_some());
        push_owner(buffer, &Owner { uid: self.uid, gid: self.gid, mode: self.mode });
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(self.symlink_target.as_deref().unwrap_or("").as_bytes());
        buffer.push(0);
        let target_end = buffer.len();
        self.xattrs.write(buffer);
        push_offsets(buffer, start, [target_end].into_iter());
    }
}

/// Header of an object in an archive repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArchiveHeader {
    /// Size of the content in bytes, before compression; 0 for a symbolic link.
    pub size: u64,
    /// The header proper.
    pub header: FileHeader,
}

impl ArchiveHeader {
    /// Tells how many bytes follow the first [`FRAME_LEN`] bytes before the content starts.
    /// `prefix` holds these bytes; more than [`MAX_FILE_HEADER_SIZE`] is refused.
    pub fn parse_prefix(prefix: &[u8]) -> Result<usize> {
        parse_prefix(prefix, ARCHIVE)
    }

    /// Reads the unframed form `(tuuuusa(ayay))`, whose length [`ArchiveHeader::parse_prefix`]
    /// tells. Attributes may be in any order, since libostree stored them so.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let fault = |fault: Fault| fault.of(ARCHIVE);
        let mut members = Members::new(Span::new(data), 1).map_err(fault)?;
        let size = members.fixed(8, 8).map_err(fault)?;
        let size = size
            .data
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| size.fault(0, "eight bytes").of(ARCHIVE))?;
        let header = FileHeader::read(members, ARCHIVE, Xattrs::parse_span_unsorted)?;
        Ok(ArchiveHeader { size, header })
    }

    /// Reads the framed form and returns what follows it.
    pub fn parse_framed(data: &[u8]) -> Result<(Self, &[u8])> {
        let (header, content) = split_frame(data, ARCHIVE)?;
        Ok((Self::parse(header)?, content))
    }

    /// Returns the framed form.
    pub fn to_bytes(&self) -> Vec<u8> {
        framed(|buffer, start| {
            buffer.extend_from_slice(&self.size.to_be_bytes());
            self.header.write(buffer, start);
        })
    }
}

/// Value of the attribute `user.ostreemeta` in a bare-user repository: what the file itself
/// cannot hold. Symbolic links are regular files there, see [`BareUserMeta::symlink_content`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BareUserMeta {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permissions and the type, `S_IFREG` or `S_IFLNK`.
    pub mode: u32,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl BareUserMeta {
    /// Name of the extended attribute.
    pub const XATTR: &str = BARE_USER;

    /// Reads the value. Attributes may be in any order, since libostree sorts them on reading.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let (Owner { uid, gid, mode }, xattrs) = read_owner(data, BARE_USER)?;
        mode::check(mode, &[S_IFREG, S_IFLNK], BARE_USER)?;
        Ok(BareUserMeta { uid, gid, mode, xattrs: Xattrs::parse_span_unsorted(xattrs, BARE_USER)? })
    }

    /// Serialises the value.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_owner(&Owner { uid: self.uid, gid: self.gid, mode: self.mode }, &self.xattrs)
    }

    /// Returns the content of the regular file that stands for a symbolic link: the target and
    /// NUL.
    pub fn symlink_content(target: &str) -> Vec<u8> {
        let mut content = Vec::with_capacity(target.len() + 1);
        content.extend_from_slice(target.as_bytes());
        content.push(0);
        content
    }

    /// Reads the target from what [`BareUserMeta::symlink_content`] wrote. The NUL may be
    /// missing, since libostree reads both.
    pub fn parse_symlink_content(content: &[u8]) -> Result<String> {
        let target = content.strip_suffix(&[0]).unwrap_or(content);
        let problem = match std::str::from_utf8(target) {
            Ok(_) if target.contains(&0) => "NUL inside",
            Ok(_) if target.len() > MAX_TARGET_LEN => "longer than 4096 bytes",
            Ok(target) => return Ok(target.to_owned()),
            Err(_) => "not UTF-8",
        };
        Err(FormatError::invalid("symlink target", problem))
    }

    /// Makes the header of the object; a symbolic link needs its target.
    pub fn into_header(self, symlink_target: Option<String>) -> FileHeader {
        let BareUserMeta { uid, gid, mode, xattrs } = self;
        FileHeader { uid, gid, mode, symlink_target, xattrs }
    }
}

impl From<&FileHeader> for BareUserMeta {
    fn from(header: &FileHeader) -> Self {
        let FileHeader { uid, gid, mode, symlink_target: _, xattrs } = header;
        BareUserMeta { uid: *uid, gid: *gid, mode: *mode, xattrs: xattrs.clone() }
    }
}

/// Reads a content stream, the form file objects travel in and are hashed as: header and
/// content.
pub fn parse_content_stream(data: &[u8]) -> Result<(FileHeader, &[u8])> {
    let (header, content) = split_frame(data, FILE)?;
    Ok((FileHeader::parse(header)?, content))
}

/// Frames what `write` appends; it is told where its tuple starts.
fn framed(write: impl FnOnce(&mut Vec<u8>, usize)) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(128);
    buffer.extend_from_slice(&[0; FRAME_LEN]);
    write(&mut buffer, FRAME_LEN);
    let len = u32::try_from(buffer.len() - FRAME_LEN).expect("the kernel bounds attributes");
    buffer[..4].copy_from_slice(&len.to_be_bytes());
    buffer
}

fn parse_prefix(prefix: &[u8], what: &'static str) -> Result<usize> {
    let truncated = || FormatError::invalid(what, "shorter than its frame");
    let frame: &[u8; FRAME_LEN] = prefix.first_chunk().ok_or_else(truncated)?;
    let [a, b, c, d, padding @ ..] = *frame;
    if padding != [0; 4] {
        return Err(FormatError::invalid(what, "padding that is not zero"));
    }
    match u32::from_be_bytes([a, b, c, d]) {
        0 => Err(FormatError::invalid(what, "File header size is zero")),
        len if u64::from(len) > MAX_FILE_HEADER_SIZE => {
            Err(FormatError::TooLarge { what, size: u64::from(len), limit: MAX_FILE_HEADER_SIZE })
        }
        len => Ok(len as usize),
    }
}

fn split_frame<'a>(data: &'a [u8], what: &'static str) -> Result<(&'a [u8], &'a [u8])> {
    let len = parse_prefix(data, what)?;
    data[FRAME_LEN..].split_at_checked(len).ok_or_else(|| {
        FormatError::invalid(what, format!("File header size {len} exceeds size {}", data.len()))
    })
}
