use trefoil_format::commit::Commit;
use trefoil_format::gvariant::{Type, Value};

use super::{Endianness, Fallback, PartHeader, Superblock, write_objects};
use crate::{DeltaError, Result};

const PART: &str = "(uayttay)";
const FALLBACK: &str = "(yaytt)";

impl Superblock {
    /// Serialises the superblock in its byte order.
    ///
    /// # Errors
    /// A commit that cannot be parsed.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let commit =
            Commit::parse(&self.commit_bytes).map_err(DeltaError::format("commit"))?.to_value();
        let parts = self.parts.iter().map(|part| part_value(part, self.endianness));
        let fallbacks = self.fallbacks.iter().map(|f| fallback_value(f, self.endianness));
        let from = self.name.from.map_or(Vec::new(), |from| from.as_bytes().to_vec());
        let mut recurse = Vec::new();
        for delta in &self.recurse {
            recurse.extend(delta.from.iter().flat_map(|from| *from.as_bytes()));
            recurse.extend_from_slice(delta.to.as_bytes());
        }
        Ok(Value::Tuple(vec![
            self.metadata.to_value(),
            Value::Uint64(self.timestamp.swap_bytes()),
            Value::Bytes(from),
            Value::Bytes(self.name.to.as_bytes().to_vec()),
            commit,
            Value::Bytes(recurse),
            Value::Array(ty(PART), parts.collect()),
            Value::Array(ty(FALLBACK), fallbacks.collect()),
        ])
        .to_bytes())
    }
}

fn part_value(part: &PartHeader, endianness: Endianness) -> Value {
    Value::Tuple(vec![
        Value::Uint32(endianness.u32(part.version)),
        Value::Bytes(part.checksum.as_bytes().to_vec()),
        Value::Uint64(endianness.u64(part.size)),
        Value::Uint64(endianness.u64(part.usize)),
        Value::Bytes(write_objects(&part.objects)),
    ])
}

fn fallback_value(object: &Fallback, endianness: Endianness) -> Value {
    Value::Tuple(vec![
        Value::Byte(object.name.kind as u8),
        Value::Bytes(object.name.checksum.as_bytes().to_vec()),
        Value::Uint64(endianness.u64(object.size)),
        Value::Uint64(endianness.u64(object.usize)),
    ])
}

fn ty(format: &str) -> Type {
    Type::parse(format).expect("the format string is a type")
}
