//! What a delta is called, and where it lies in a repository.

use std::fmt;
use std::str::FromStr;

use trefoil_format::checksum::Checksum;
use trefoil_format::error::FormatError;

/// The commits a delta leads from and to; from nothing where there is no first.
///
/// As text both in hex, joined by `-`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaName {
    /// The commit that has to be there.
    pub from: Option<Checksum>,
    /// The commit that will be there.
    pub to: Checksum,
}

impl DeltaName {
    /// Names a delta.
    pub const fn new(from: Option<Checksum>, to: Checksum) -> Self {
        DeltaName { from, to }
    }

    /// Its directory relative to the repository: `deltas/XX/REST`, where XX and REST join to
    /// the base64 names, joined by `-`.
    pub fn dir(&self) -> String {
        let to = self.to.to_base64();
        let name = match self.from {
            Some(from) => format!("{}-{to}", from.to_base64()),
            None => to,
        };
        format!("deltas/{}/{}", &name[..2], &name[2..])
    }

    /// Path of its superblock relative to the repository.
    pub fn superblock_path(&self) -> String {
        format!("{}/superblock", self.dir())
    }

    /// Path of a part relative to the repository; also the key of the part in the metadata of
    /// a superblock that has it inline.
    pub fn part_path(&self, index: usize) -> String {
        format!("{}/{index}", self.dir())
    }

    /// The key of the detached metadata of the commit in the metadata of the superblock.
    pub fn detached_key(&self) -> String {
        format!("{}/commitmeta", self.dir())
    }

    /// Reads the two components below `deltas/`, joined.
    pub fn from_base64(text: &str) -> Option<Self> {
        let (from, to) = match text.split_once('-') {
            Some((from, to)) => (Some(Checksum::from_base64(from).ok()?), to),
            None => (None, text),
        };
        Some(DeltaName { from, to: Checksum::from_base64(to).ok()? })
    }
}

impl fmt::Display for DeltaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => write!(f, "{from}-{}", self.to),
            None => write!(f, "{}", self.to),
        }
    }
}

impl FromStr for DeltaName {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Ok(match text.split_once('-') {
            Some((from, to)) => {
                DeltaName { from: Some(Checksum::from_hex(from)?), to: Checksum::from_hex(to)? }
            }
            None => DeltaName { from: None, to: Checksum::from_hex(text)? },
        })
    }
}

/// Path of the list of deltas to `to`, relative to the repository.
pub fn index_path(to: &Checksum) -> String {
    let name = to.to_base64();
    format!("delta-indexes/{}/{}.index", &name[..2], &name[2..])
}

/// Reads the two components below `delta-indexes/`.
pub fn index_name(prefix: &str, rest: &str) -> Option<Checksum> {
    Checksum::from_base64(&format!("{prefix}{}", rest.strip_suffix(".index")?)).ok()
}
