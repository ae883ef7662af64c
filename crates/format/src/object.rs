//! Types and names of objects, and the limits that apply to them.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use crate::checksum::Checksum;
use crate::error::{FormatError, Result};

/// Largest metadata object, in bytes (`OSTREE_MAX_METADATA_SIZE`).
pub const MAX_METADATA_SIZE: u64 = 128 * 1024 * 1024;

/// Largest header of a content object, in bytes. libostree has no limit; the kernel allows
/// names and values of extended attributes to reach a fraction of this.
pub const MAX_FILE_HEADER_SIZE: u64 = 16 * 1024 * 1024;

/// Longest file name, in bytes (`NAME_MAX` of Linux).
pub const MAX_NAME_LEN: usize = 255;

/// The types of objects, with the numbers libostree gives them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectType {
    /// Content: a regular file or a symbolic link.
    File = 1,
    /// The names in a directory.
    DirTree = 2,
    /// Owner, mode and extended attributes of a directory.
    DirMeta = 3,
    /// A root directory and where it came from.
    Commit = 4,
    /// Stands for a commit that was deleted on purpose.
    TombstoneCommit = 5,
    /// Detached metadata of a commit, named by the checksum of the commit.
    CommitMeta = 6,
    /// A link to a file object, named by the checksum of the payload alone.
    PayloadLink = 7,
    /// Extended attributes of a file, in mode bare-split-xattrs.
    FileXattrs = 8,
    /// A hard link to a [`ObjectType::FileXattrs`], named by the checksum of the file object.
    FileXattrsLink = 9,
}

impl ObjectType {
    /// Every type, in the order of its number.
    pub const ALL: [ObjectType; 9] = [
        ObjectType::File,
        ObjectType::DirTree,
        ObjectType::DirMeta,
        ObjectType::Commit,
        ObjectType::TombstoneCommit,
        ObjectType::CommitMeta,
        ObjectType::PayloadLink,
        ObjectType::FileXattrs,
        ObjectType::FileXattrsLink,
    ];

    /// Returns what follows the dot in an object name.
    pub const fn suffix(self) -> &'static str {
        match self {
            ObjectType::File => "file",
            ObjectType::DirTree => "dirtree",
            ObjectType::DirMeta => "dirmeta",
            ObjectType::Commit => "commit",
            ObjectType::TombstoneCommit => "tombstone-commit",
            ObjectType::CommitMeta => "commitmeta",
            ObjectType::PayloadLink => "payload-link",
            ObjectType::FileXattrs => "file-xattrs",
            ObjectType::FileXattrsLink => "file-xattrs-link",
        }
    }

    /// Reads a suffix as [`ObjectType::suffix`] writes it.
    pub fn from_suffix(suffix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.suffix() == suffix)
    }

    /// Reads libostree's number of a type.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// Tells whether the object is stored as itself in every repository mode. As in libostree
    /// the types from [`ObjectType::PayloadLink`] on are not.
    pub const fn is_metadata(self) -> bool {
        matches!(
            self,
            ObjectType::DirTree
                | ObjectType::DirMeta
                | ObjectType::Commit
                | ObjectType::TombstoneCommit
                | ObjectType::CommitMeta
        )
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.suffix())
    }
}

/// A checksum and what kind of object it names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Checksum of the object; see [`ObjectType`] for what is hashed.
    pub checksum: Checksum,
    /// Type of the object.
    pub kind: ObjectType,
}

impl ObjectName {
    /// Names an object.
    pub const fn new(checksum: Checksum, kind: ObjectType) -> Self {
        ObjectName { checksum, kind }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.checksum, self.kind)
    }
}

impl FromStr for ObjectName {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self> {
        let (hex, suffix) =
            text.split_once('.').ok_or_else(|| FormatError::name("object name", text))?;
        let kind = ObjectType::from_suffix(suffix)
            .ok_or_else(|| FormatError::name("object name", text))?;
        Ok(ObjectName { checksum: Checksum::from_hex(hex)?, kind })
    }
}

/// Longest suffix is `file-xattrs-linkz`.
const LOOSE_PATH_MAX: usize = Checksum::HEX_LEN + 2 + 17;

/// Path of a loose object below `objects/`, held on the stack: `ab/cdef....dirtree`.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct LoosePath {
    bytes: [u8; LOOSE_PATH_MAX],
    len: usize,
}

impl LoosePath {
    /// Length of the folder part: two hex digits.
    pub const FOLDER_LEN: usize = 2;

    /// Builds the path. In an `archive` repository everything that is not metadata gets a `z`
    /// behind its suffix, such as `filez`.
    pub fn new(name: &ObjectName, archive: bool) -> Self {
        let mut hex = [0; Checksum::HEX_LEN];
        name.checksum.write_hex(&mut hex);
        let mut path = LoosePath { bytes: [0; LOOSE_PATH_MAX], len: 0 };
        path.push(&hex[..Self::FOLDER_LEN]);
        path.push(b"/");
        path.push(&hex[Self::FOLDER_LEN..]);
        path.push(b".");
        path.push(name.kind.suffix().as_bytes());
        if archive && !name.kind.is_metadata() {
            path.push(b"z");
        }
        path
    }

    /// Returns the two hex digits that name the folder.
    pub fn folder(&self) -> &str {
        &self[..Self::FOLDER_LEN]
    }

    /// Returns the name within the folder.
    pub fn file_name(&self) -> &str {
        &self[Self::FOLDER_LEN + 1..]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl Deref for LoosePath {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("hex digits and a suffix are ASCII")
    }
}

impl AsRef<str> for LoosePath {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Display for LoosePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for LoosePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
