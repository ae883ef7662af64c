//! A part of a delta: a byte for the compression, and behind it `(a(uuu)aa(ayay)ayay)`: owners
//! and modes, attributes, contents, operations.

mod build;
mod run;

use std::ops::Range;
use std::sync::LazyLock;

use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::{Type, Value};
use trefoil_format::object::ObjectName;
use trefoil_format::xattrs::Xattrs;

use crate::{DeltaError, Limits, PartHeader, Result, xz};

pub use build::PartBuilder;
pub use run::OpStats;

const FORMAT: &str = "(a(uuu)aa(ayay)ayay)";
static TYPE: LazyLock<Type> =
    LazyLock::new(|| Type::parse(FORMAT).expect("the format string is a type"));
/// The compressions there are.
const PLAIN: u8 = 0;
const LZMA: u8 = b'x';
/// Most bytes of operations; a part of the usual 32 MB has some thousand. Keeps the memory for
/// [`Recipe`]s within bounds.
const MAX_OPS: usize = 16 << 20;

const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// A part, decompressed.
#[derive(Clone, Debug)]
pub struct Part {
    owners: Vec<Owner>,
    xattrs: Vec<Xattrs>,
    payload: Vec<u8>,
    ops: Vec<u8>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// How much there is in a part; what `ostree static-delta show` prints.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PartSizes {
    /// Different owners and modes.
    pub modes: usize,
    /// Different sets of attributes.
    pub xattrs: usize,
    /// Bytes of contents.
    pub payload: usize,
    /// Bytes of operations.
    pub ops: usize,
}

/// How to make one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The object that must come out.
    pub name: ObjectName,
    /// What it is made of.
    pub kind: RecipeKind,
}

/// What an object is made of. Ranges are within [`Part::payload`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipeKind {
    /// These bytes.
    Metadata(Range<usize>),
    /// A file or symbolic link; see [`Part::header`].
    File {
        /// Which owner and mode.
        owner: usize,
        /// Which attributes.
        xattrs: usize,
        /// Size of its content in bytes; of a symbolic link the length of the target.
        size: u64,
        /// The content from its beginning to its end; together as long as `size`.
        pieces: Vec<Piece>,
    },
}

/// A piece of the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the payload.
    Payload(Range<usize>),
    /// Bytes of a file object that is there.
    Copy {
        /// The object.
        source: Checksum,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// The whole content: a patch applied to a file object that is there, see
    /// [`crate::apply_patch`].
    Patch {
        /// The object.
        source: Checksum,
        /// The patch, in the payload.
        patch: Range<usize>,
    },
}

impl Part {
    /// Compares the checksum of `bytes` with that in `header`, and decompresses them to no more
    /// than [`PartHeader::expanded_limit`].
    pub fn open(header: &PartHeader, bytes: &[u8], limits: &Limits) -> Result<Self> {
        header.check_version()?;
        let actual = Checksum::of(bytes);
        if actual != header.checksum {
            return Err(DeltaError::PartChecksum { expected: header.checksum, actual });
        }
        Self::parse(bytes, header.expanded_limit(limits), limits)
    }

    /// As [`Part::open`] without a checksum, decompressing to no more than `limit` bytes.
    pub fn parse(bytes: &[u8], limit: u64, limits: &Limits) -> Result<Self> {
        match bytes.split_first() {
            None => Err(DeltaError::invalid("part without a byte for its compression")),
            Some((&PLAIN, rest)) if rest.len() as u64 > limit => {
                Err(DeltaError::TooLarge { limit })
            }
            Some((&PLAIN, rest)) => Self::parse_payload(rest),
            Some((&LZMA, rest)) => Self::parse_payload(&xz::decompress(rest, limit, limits)?),
            Some((other, _)) => Err(DeltaError::Compression(*other)),
        }
    }

    fn parse_payload(data: &[u8]) -> Result<Self> {
        let value = Value::parse(&TYPE, data).map_err(DeltaError::format("part"))?;
        let Value::Tuple(members) = value else { return Err(mismatch()) };
        let members: [Value; 4] = members.try_into().map_err(|_| mismatch())?;
        let [owners, xattrs, Value::Bytes(payload), Value::Bytes(ops)] = members else {
            return Err(mismatch());
        };
        if ops.len() > MAX_OPS {
            return Err(DeltaError::invalid(format!(
                "part with {} bytes of operations",
                ops.len()
            )));
        }
        let owners = owners.as_array().unwrap_or_default().iter().map(owner).collect();
        let xattrs = xattrs.as_array().unwrap_or_default().iter().map(read_xattrs).collect();
        match (owners, xattrs) {
            (Some(owners), Some(xattrs)) => Ok(Part { owners, xattrs, payload, ops }),
            _ => Err(mismatch()),
        }
    }

    /// How much there is in it.
    pub fn sizes(&self) -> PartSizes {
        PartSizes {
            modes: self.owners.len(),
            xattrs: self.xattrs.len(),
            payload: self.payload.len(),
            ops: self.ops.len(),
        }
    }

    /// The contents.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The header of a file that is made of these pieces.
    ///
    /// # Errors
    /// Neither a regular file nor a symbolic link; a target that is no text.
    pub fn header(&self, owner: usize, xattrs: usize, pieces: &[Piece]) -> Result<FileHeader> {
        let missing = || DeltaError::invalid("no such mode or attributes");
        let Owner { uid, gid, mode } = *self.owners.get(owner).ok_or_else(missing)?;
        let xattrs = self.xattrs.get(xattrs).ok_or_else(missing)?.clone();
        let symlink_target = match mode & S_IFMT {
            S_IFREG => None,
            S_IFLNK => Some(self.target(pieces)?),
            _ => return Err(DeltaError::invalid(format!("Invalid mode 0{mode:o} of a file"))),
        };
        Ok(FileHeader { uid, gid, mode, symlink_target, xattrs })
    }

    fn target(&self, pieces: &[Piece]) -> Result<String> {
        let [Piece::Payload(range)] = pieces else {
            return Err(DeltaError::invalid("symbolic link made of other files"));
        };
        let text = self.payload.get(range.clone()).and_then(|b| std::str::from_utf8(b).ok());
        match text {
            Some(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(DeltaError::invalid("symbolic link whose target is no text")),
        }
    }
}

impl Piece {
    /// Its length in bytes, in a file of `size` bytes.
    pub fn len(&self, size: u64) -> u64 {
        match self {
            Piece::Payload(range) => range.len() as u64,
            Piece::Copy { len, .. } => *len,
            Piece::Patch { .. } => size,
        }
    }

    /// The object it is made from.
    pub fn source(&self) -> Option<&Checksum> {
        match self {
            Piece::Payload(_) => None,
            Piece::Copy { source, .. } | Piece::Patch { source, .. } => Some(source),
        }
    }
}

fn mismatch() -> DeltaError {
    DeltaError::invalid(format!("part: expected type {FORMAT}"))
}

/// The numbers are big endian in every delta.
fn owner(value: &Value) -> Option<Owner> {
    let Value::Tuple(members) = value else { return None };
    let [Value::Uint32(uid), Value::Uint32(gid), Value::Uint32(mode)] = members[..] else {
        return None;
    };
    Some(Owner { uid: uid.swap_bytes(), gid: gid.swap_bytes(), mode: mode.swap_bytes() })
}

fn read_xattrs(value: &Value) -> Option<Xattrs> {
    let pair = |item: &Value| match item {
        Value::Tuple(members) => match &members[..] {
            [Value::Bytes(name), Value::Bytes(value)] => match name.split_last() {
                Some((0, name)) => Some((name.to_vec(), value.clone())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    Some(Xattrs::new(value.as_array()?.iter().map(pair).collect::<Option<_>>()?))
}
