//! `ostree.sizes`: what the objects of a commit weigh, recorded in its metadata.
//!
//! An `aay`; each element is 32 bytes of checksum, the stored size and the unpacked size as
//! little-endian base-128 numbers, and one byte for the type of the object.

use crate::checksum::Checksum;
use crate::error::{FormatError, Result};
use crate::gvariant::{Type, Value};
use crate::object::{ObjectName, ObjectType};

/// The key in the metadata of a commit.
pub const SIZES_KEY: &str = "ostree.sizes";

const WHAT: &str = "ostree.sizes entry";
const CHECKSUM_LEN: usize = 32;
/// Bits of a number that one byte carries.
const GROUP: u32 = 7;
const MORE: u8 = 0x80;

/// The size of one object.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectSize {
    /// Which object.
    pub name: ObjectName,
    /// As it is stored in an archive, in bytes: what a pull transfers.
    pub archived: u64,
    /// Its content, in bytes; for a symbolic link the length of the target.
    pub unpacked: u64,
}

/// The value of [`SIZES_KEY`]: `sizes` in the order of their checksums.
pub fn to_value(sizes: &[ObjectSize]) -> Value {
    let mut sorted: Vec<&ObjectSize> = sizes.iter().collect();
    sorted.sort_unstable();
    let entries = sorted.into_iter().map(|size| Value::Bytes(entry(size))).collect();
    Value::array(Type::bytes(), entries)
}

/// Reads the value of [`SIZES_KEY`]. Commits of old libostrees have no types in it: all of
/// those entries are files.
pub fn from_value(value: &Value) -> Result<Vec<ObjectSize>> {
    if value.ty() != Type::array(Type::bytes()) {
        return Err(FormatError::invalid(SIZES_KEY, "it is no aay"));
    }
    let entries = value.as_array().unwrap_or_default();
    entries.iter().map(|entry| parse_entry(entry.as_bytes().unwrap_or_default())).collect()
}

fn entry(size: &ObjectSize) -> Vec<u8> {
    let mut bytes = size.name.checksum.as_bytes().to_vec();
    push_number(&mut bytes, size.archived);
    push_number(&mut bytes, size.unpacked);
    bytes.push(size.name.kind as u8);
    bytes
}

fn parse_entry(bytes: &[u8]) -> Result<ObjectSize> {
    let (checksum, mut rest) = bytes
        .split_at_checked(CHECKSUM_LEN)
        .ok_or_else(|| FormatError::invalid(WHAT, format!("it has {} bytes", bytes.len())))?;
    let checksum = Checksum::from_slice(checksum)?;
    let archived = take_number(&mut rest)?;
    let unpacked = take_number(&mut rest)?;
    let kind = match rest {
        [] => ObjectType::File,
        [number, ..] => ObjectType::from_number(u32::from(*number))
            .ok_or_else(|| FormatError::invalid(WHAT, format!("no object has type {number}")))?,
    };
    Ok(ObjectSize { name: ObjectName::new(checksum, kind), archived, unpacked })
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        bytes.push(number as u8 | MORE);
        number >>= GROUP;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0_u64;
    let mut shift = 0;
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        let bits = u64::from(byte & !MORE);
        if shift >= u64::BITS || bits << shift >> shift != bits {
            return Err(FormatError::invalid(WHAT, "a number has more than 64 bits"));
        }
        number |= bits << shift;
        if byte & MORE == 0 {
            return Ok(number);
        }
        shift += GROUP;
    }
    Err(FormatError::invalid(WHAT, "it ends within a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(first: u8, archived: u64, unpacked: u64, kind: ObjectType) -> ObjectSize {
        let mut checksum = [0; 32];
        checksum[0] = first;
        let name = ObjectName::new(Checksum::from_bytes(checksum), kind);
        ObjectSize { name, archived, unpacked }
    }

    /// Guards order and numbers, at the places where a number gets one byte more.
    #[test]
    fn what_is_written_is_read() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX];
        let mut sizes: Vec<ObjectSize> = numbers
            .iter()
            .zip((0..8).rev())
            .map(|(n, first)| size(first, *n, n / 2, ObjectType::DirTree))
            .collect();
        let value = to_value(&sizes);
        sizes.reverse();
        assert_eq!(from_value(&value), Ok(sizes));
        let bytes = entry(&size(7, 300, 5, ObjectType::DirMeta));
        assert_eq!(bytes[32..], [0xac, 0x02, 5, 3]);
    }

    /// Guards against bytes from outside.
    #[test]
    fn what_is_broken_is_refused() {
        let good = entry(&size(1, 300, 5, ObjectType::File));
        assert_eq!(parse_entry(&good[..35]), parse_entry(&good), "an old one, without type");
        for len in 0..35 {
            parse_entry(&good[..len]).expect_err("it is too short");
        }
        let unknown = [&good[..35], &[0]].concat();
        parse_entry(&unknown).expect_err("no object has type 0");
        for tail in [[0xff; 12], [0x80; 12]] {
            parse_entry(&[&good[..32], &tail].concat()).expect_err("no such number");
        }
        from_value(&Value::Bytes(good)).expect_err("one entry is no list");
    }
}
