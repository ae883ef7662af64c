use std::sync::LazyLock;

use trefoil_format::gvariant::{Metadata, Type, Value};

use super::{Endianness, Fallback, PartHeader, Superblock, checksum, read_object, read_objects};
use crate::{DeltaError, DeltaName, Result};

const FORMAT: &str = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))";
static TYPE: LazyLock<Type> =
    LazyLock::new(|| Type::parse(FORMAT).expect("the format string is a type"));
/// Two checksums.
const PAIR_LEN: usize = 64;

impl Superblock {
    /// Reads a superblock without signatures around it; see [`crate::is_signed`]. The commit
    /// is not looked into: [`Superblock::commit`] does.
    ///
    /// Memory stays within twice the length of the input and some.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let value = Value::parse(&TYPE, data).map_err(DeltaError::format("superblock"))?;
        let Value::Tuple(members) = value else { return Err(mismatch()) };
        let members: [Value; 8] = members.try_into().map_err(|_| mismatch())?;
        let [metadata, timestamp, from, to, commit, recurse, parts, fallbacks] = members;
        let metadata = Metadata::from_value(metadata).map_err(DeltaError::format("metadata"))?;
        let parts = parts.as_array().ok_or_else(mismatch)?;
        let mut parts = parts.iter().map(part).collect::<Result<Vec<_>>>()?;
        let fallbacks = fallbacks.as_array().ok_or_else(mismatch)?;
        let mut fallbacks = fallbacks.iter().map(fallback).collect::<Result<Vec<_>>>()?;
        let endianness = Endianness::of(&metadata, &parts);
        swap(endianness, &mut parts, &mut fallbacks);
        let from = bytes(&from)?;
        Ok(Superblock {
            metadata,
            timestamp: number(&timestamp)?.swap_bytes(),
            name: DeltaName {
                from: if from.is_empty() { None } else { Some(checksum(from)?) },
                to: checksum(bytes(&to)?)?,
            },
            commit_bytes: commit.to_bytes(),
            recurse: read_recurse(bytes(&recurse)?)?,
            parts,
            fallbacks,
            endianness,
        })
    }
}

fn swap(endianness: Endianness, parts: &mut [PartHeader], fallbacks: &mut [Fallback]) {
    for part in parts {
        part.version = endianness.u32(part.version);
        part.size = endianness.u64(part.size);
        part.usize = endianness.u64(part.usize);
    }
    for object in fallbacks {
        object.size = endianness.u64(object.size);
        object.usize = endianness.u64(object.usize);
    }
}

fn part(value: &Value) -> Result<PartHeader> {
    let Value::Tuple(members) = value else { return Err(mismatch()) };
    match &members[..] {
        [Value::Uint32(version), sum, Value::Uint64(size), Value::Uint64(usize), objects] => {
            Ok(PartHeader {
                version: *version,
                checksum: checksum(bytes(sum)?)?,
                size: *size,
                usize: *usize,
                objects: read_objects(bytes(objects)?)?,
            })
        }
        _ => Err(mismatch()),
    }
}

fn fallback(value: &Value) -> Result<Fallback> {
    let Value::Tuple(members) = value else { return Err(mismatch()) };
    match &members[..] {
        [Value::Byte(kind), sum, Value::Uint64(size), Value::Uint64(usize)] => {
            Ok(Fallback { name: read_object(*kind, bytes(sum)?)?, size: *size, usize: *usize })
        }
        _ => Err(mismatch()),
    }
}

fn read_recurse(data: &[u8]) -> Result<Vec<DeltaName>> {
    let (pairs, rest) = data.as_chunks::<PAIR_LEN>();
    if !rest.is_empty() {
        return Err(DeltaError::invalid("parents of an odd length"));
    }
    let name = |pair: &[u8; PAIR_LEN]| {
        let (from, to) = pair.split_at(PAIR_LEN / 2);
        Ok(DeltaName { from: Some(checksum(from)?), to: checksum(to)? })
    };
    pairs.iter().map(name).collect()
}

fn bytes(value: &Value) -> Result<&[u8]> {
    value.as_bytes().ok_or_else(mismatch)
}

fn number(value: &Value) -> Result<u64> {
    if let Value::Uint64(number) = value { Ok(*number) } else { Err(mismatch()) }
}

fn mismatch() -> DeltaError {
    DeltaError::invalid(format!("superblock: expected type {FORMAT}"))
}
