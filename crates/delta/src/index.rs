use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::{Metadata, Value};

use crate::{DeltaError, DeltaName, Result};

const KEY: &str = "ostree.static-deltas";

/// Deltas with the checksums of their superblocks: the content of a file in `delta-indexes/`,
/// and an entry of the summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaIndex(pub Vec<(DeltaName, Checksum)>);

impl DeltaIndex {
    /// Key in the metadata of index and summary.
    pub const KEY: &str = KEY;

    /// Reads a file of `delta-indexes/`. One without the key lists nothing.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let metadata = Metadata::parse(data).map_err(DeltaError::format("index"))?;
        match metadata.get(KEY) {
            Some(value) => Self::from_value(value),
            None => Ok(DeltaIndex::default()),
        }
    }

    /// Serialises the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut metadata = Metadata::new();
        metadata.set(KEY, self.to_value());
        metadata.to_bytes()
    }

    /// Reads the value of [`DeltaIndex::KEY`]. Entries that are no delta with a checksum are
    /// passed over, as libostree does.
    pub fn from_value(value: &Value) -> Result<Self> {
        let metadata =
            Metadata::from_value(value.clone()).map_err(DeltaError::format("list of deltas"))?;
        let entry = |(name, value): (&str, &Value)| {
            let digest = Checksum::from_slice(value.as_bytes()?).ok()?;
            Some((name.parse().ok()?, digest))
        };
        Ok(DeltaIndex(metadata.iter().filter_map(entry).collect()))
    }

    /// The value of [`DeltaIndex::KEY`].
    pub fn to_value(&self) -> Value {
        let mut metadata = Metadata::new();
        for (name, digest) in &self.0 {
            metadata.set(name.to_string(), Value::Bytes(digest.as_bytes().to_vec()));
        }
        metadata.to_value()
    }

    /// The checksum of the superblock of a delta.
    pub fn digest(&self, name: &DeltaName) -> Option<&Checksum> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, digest)| digest)
    }
}
