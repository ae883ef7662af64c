//! The descriptor of a delta:
//! `(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))`.
//!
//! By a historical mistake the numbers of parts and fallback objects are in the byte order of
//! the machine that made the delta. The metadata says which one; of old deltas it is guessed.

mod endian;
mod read;
mod write;

pub use endian::Endianness;

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::error::FormatError;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::object::{ObjectName, ObjectType};

use crate::{DeltaError, DeltaName, Limits, Result};

/// Latest version of parts there is.
const PART_VERSION: u32 = 0;
/// Metadata key of the byte order.
const ENDIANNESS: &str = "ostree.endianness";

/// What a delta consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Superblock {
    /// Metadata in its order: the byte order, inline parts, detached metadata of the commit.
    pub metadata: Metadata,
    /// When it was made, in seconds since 1970.
    pub timestamp: u64,
    /// What it leads from and to.
    pub name: DeltaName,
    /// The bytes of the commit object it leads to; see [`Superblock::commit`].
    pub commit_bytes: Vec<u8>,
    /// Deltas to be applied before it; libostree never writes any.
    pub recurse: Vec<DeltaName>,
    /// The parts in order.
    pub parts: Vec<PartHeader>,
    /// Objects to be fetched by themselves.
    pub fallbacks: Vec<Fallback>,
    /// Byte order of the numbers in parts and fallback objects.
    pub endianness: Endianness,
}

/// What the superblock says about a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHeader {
    /// Version of its format; only 0 is known.
    pub version: u32,
    /// Checksum of its bytes.
    pub checksum: Checksum,
    /// Length of its bytes.
    pub size: u64,
    /// Size of the contents of its objects, in bytes, uncompressed.
    pub usize: u64,
    /// The objects it makes, in order.
    pub objects: Vec<ObjectName>,
}

/// An object that the delta does not make.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The object.
    pub name: ObjectName,
    /// Size of its file in the repository that the delta was made in, in bytes.
    pub size: u64,
    /// Size of its content, in bytes.
    pub usize: u64,
}

impl Superblock {
    /// Metadata of a new superblock: the byte order alone.
    pub fn new_metadata(endianness: Endianness) -> Metadata {
        let mut metadata = Metadata::new();
        if let Some(letter) = endianness.letter() {
            metadata.set(ENDIANNESS, Value::Byte(letter));
        }
        metadata
    }

    /// The commit, whose checksum is that of [`DeltaName::to`].
    ///
    /// # Errors
    /// Another commit, or none.
    pub fn commit(&self) -> Result<Commit> {
        let actual = Checksum::of(&self.commit_bytes);
        if actual != self.name.to {
            let expected = self.name.to;
            return Err(DeltaError::invalid(format!(
                "its commit has the checksum {actual}, expected {expected}"
            )));
        }
        Commit::parse(&self.commit_bytes).map_err(DeltaError::format("commit"))
    }

    /// The bytes of a part that lies in the superblock; `None` where it is a file.
    pub fn inline_part(&self, index: usize) -> Option<Vec<u8>> {
        match self.metadata.get(&self.name.part_path(index))? {
            Value::Tuple(members) => match &members[..] {
                [Value::Byte(compression), Value::Bytes(data)] => {
                    let mut bytes = Vec::with_capacity(data.len() + 1);
                    bytes.push(*compression);
                    bytes.extend_from_slice(data);
                    Some(bytes)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Puts the bytes of a part into the metadata.
    pub fn set_inline_part(&mut self, index: usize, bytes: &[u8]) {
        if let Some((compression, data)) = bytes.split_first() {
            let part = Value::Tuple(vec![Value::Byte(*compression), Value::Bytes(data.to_vec())]);
            self.metadata.set(self.name.part_path(index), part);
        }
    }

    /// Detached metadata of the commit, its signatures among them.
    pub fn detached(&self) -> Option<Metadata> {
        let value = self.metadata.get(&self.name.detached_key())?;
        Metadata::from_value(value.clone()).ok()
    }

    /// Sizes of all parts together, and of their contents.
    pub fn part_sizes(&self) -> (u64, u64) {
        let sum =
            |each: fn(&PartHeader) -> u64| self.parts.iter().map(each).fold(0, u64::saturating_add);
        (sum(|part| part.size), sum(|part| part.usize))
    }

    /// Sizes of all fallback objects together, and of their contents.
    pub fn fallback_sizes(&self) -> (u64, u64) {
        let sum = |each: fn(&Fallback) -> u64| {
            self.fallbacks.iter().map(each).fold(0, u64::saturating_add)
        };
        (sum(|object| object.size), sum(|object| object.usize))
    }
}

impl PartHeader {
    /// Refuses parts of a later version.
    pub fn check_version(&self) -> Result<()> {
        match self.version {
            0..=PART_VERSION => Ok(()),
            later => Err(DeltaError::TooNew(later)),
        }
    }

    /// The most that the part may decompress to, in bytes.
    ///
    /// Its contents, a patch that at worst is thrice as long as the file it makes, and for each
    /// object the operations and tables; a part that holds more is no part that does what the
    /// superblock says.
    pub fn expanded_limit(&self, limits: &Limits) -> u64 {
        const SLACK: u64 = 1 << 20;
        /// What the kernel lets one file have in attributes, and some operations.
        const PER_OBJECT: u64 = 80 << 10;
        let objects = (self.objects.len() as u64).saturating_mul(PER_OBJECT);
        let contents = self.usize.saturating_mul(4);
        contents.saturating_add(objects).saturating_add(SLACK).min(limits.part)
    }
}

/// Type and checksum of an object, as parts list them.
const OBJECT_LEN: usize = 1 + Checksum::LEN;

fn read_objects(data: &[u8]) -> Result<Vec<ObjectName>> {
    let (entries, rest) = data.as_chunks::<OBJECT_LEN>();
    if !rest.is_empty() {
        return Err(DeltaError::invalid(format!("checksum array of length {}", data.len())));
    }
    entries.iter().map(|entry| read_object(entry[0], &entry[1..])).collect()
}

fn read_object(kind: u8, checksum: &[u8]) -> Result<ObjectName> {
    let kind = ObjectType::from_number(u32::from(kind))
        .ok_or_else(|| DeltaError::invalid(format!("Invalid object type '{kind}'")))?;
    let checksum = Checksum::from_slice(checksum).map_err(DeltaError::format("objects"))?;
    Ok(ObjectName::new(checksum, kind))
}

fn write_objects(objects: &[ObjectName]) -> Vec<u8> {
    let mut data = Vec::with_capacity(objects.len() * OBJECT_LEN);
    for object in objects {
        data.push(object.kind as u8);
        data.extend_from_slice(object.checksum.as_bytes());
    }
    data
}

fn checksum(bytes: &[u8]) -> Result<Checksum> {
    Checksum::from_slice(bytes)
        .map_err(|source: FormatError| DeltaError::Format { what: "superblock", source })
}
