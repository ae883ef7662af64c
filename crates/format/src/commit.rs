//! Commit objects.
//!
//! `(a{sv}aya(say)sstayay)`: metadata, parent, related commits, subject, body, timestamp
//! (big-endian), dirtree and dirmeta of the root.

use crate::checksum::{Checksum, Hasher};
use crate::error::{FormatError, Result};
use crate::gvariant::{Metadata, Type, Value, frame::Fault, read};
use crate::object::MAX_METADATA_SIZE;

const WHAT: &str = "commit";

/// Metadata key of the version of the tree.
pub const VERSION: &str = "version";
/// Metadata key of the refs a commit may be found under.
pub const REF_BINDING: &str = "ostree.ref-binding";
/// Metadata key of the collection a commit belongs to.
pub const COLLECTION_BINDING: &str = "ostree.collection-binding";

/// An owned commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Metadata in its order.
    pub metadata: Metadata,
    /// The commit before this one.
    pub parent: Option<Checksum>,
    /// Named commits this one refers to; libostree never writes any.
    pub related: Vec<(String, Checksum)>,
    /// One line that says what it is.
    pub subject: String,
    /// More lines.
    pub body: String,
    /// Seconds since the epoch, UTC.
    pub timestamp: u64,
    /// Dirtree of the root.
    pub root_tree: Checksum,
    /// Dirmeta of the root.
    pub root_meta: Checksum,
}

impl Commit {
    /// Reads an object. Empty metadata keys and checksums of a wrong length are refused, as in
    /// libostree; a missing parent is an empty checksum.
    pub fn parse(data: &[u8]) -> Result<Self> {
        if data.len() as u64 > MAX_METADATA_SIZE {
            let size = data.len() as u64;
            return Err(FormatError::TooLarge { what: WHAT, size, limit: MAX_METADATA_SIZE });
        }
        let value = read::parse(&ty(), data).map_err(|fault: Fault| fault.of(WHAT))?;
        let Value::Tuple(members) = value else { return Err(mismatch()) };
        let members: [Value; 8] = members.try_into().map_err(|_| mismatch())?;
        let [metadata, parent, related, subject, body, timestamp, tree, meta] = members;
        let metadata = Metadata::from_value(metadata)?;
        if metadata.iter().any(|(key, _)| key.is_empty()) {
            return Err(FormatError::invalid(WHAT, "Empty metadata key"));
        }
        let parent = bytes(&parent)?;
        Ok(Commit {
            metadata,
            parent: if parent.is_empty() { None } else { Some(Checksum::from_slice(parent)?) },
            related: read_related(related)?,
            subject: text(subject)?,
            body: text(body)?,
            timestamp: number(&timestamp)?,
            root_tree: Checksum::from_slice(bytes(&tree)?)?,
            root_meta: Checksum::from_slice(bytes(&meta)?)?,
        })
    }

    /// Serialises the object.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_value().to_bytes()
    }

    /// Returns the variant, numbers still big-endian; [`Value::byteswapped`] of it is what
    /// `ostree show --raw` prints.
    pub fn to_value(&self) -> Value {
        let checksum = |checksum: &Checksum| Value::Bytes(checksum.as_bytes().to_vec());
        let related = self
            .related
            .iter()
            .map(|(name, sum)| Value::Tuple(vec![Value::Str(name.clone()), checksum(sum)]));
        Value::Tuple(vec![
            self.metadata.to_value(),
            Value::Bytes(self.parent.map_or(Vec::new(), |parent| parent.as_bytes().to_vec())),
            Value::Array(related_ty(), related.collect()),
            Value::Str(self.subject.clone()),
            Value::Str(self.body.clone()),
            Value::Uint64(self.timestamp.swap_bytes()),
            checksum(&self.root_tree),
            checksum(&self.root_meta),
        ])
    }

    /// Returns the checksum of the object.
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.to_bytes())
    }

    /// Returns a checksum of the root alone, equal for commits of the same content: the hash of
    /// the two root checksums, as `ostree_commit_get_content_checksum` defines it.
    pub fn content_checksum(&self) -> Checksum {
        let mut hasher = Hasher::new();
        hasher.update(self.root_tree.as_bytes());
        hasher.update(self.root_meta.as_bytes());
        hasher.finish()
    }

    /// Returns the version in the metadata.
    pub fn version(&self) -> Option<&str> {
        self.metadata.get_str(VERSION)
    }

    /// Returns the refs this commit may be found under; `None` if it is not bound.
    pub fn ref_bindings(&self) -> Option<Vec<&str>> {
        self.metadata.get(REF_BINDING)?.as_strings()
    }

    /// Returns the collection this commit is bound to.
    pub fn collection_binding(&self) -> Option<&str> {
        self.metadata.get_str(COLLECTION_BINDING)
    }
}

fn ty() -> Type {
    Type::tuple([
        Type::vardict(),
        Type::bytes(),
        Type::array(related_ty()),
        Type::Str,
        Type::Str,
        Type::Uint64,
        Type::bytes(),
        Type::bytes(),
    ])
}

fn related_ty() -> Type {
    Type::tuple([Type::Str, Type::bytes()])
}

fn mismatch() -> FormatError {
    FormatError::invalid(WHAT, "expected type (a{sv}aya(say)sstayay)")
}

fn text(value: Value) -> Result<String> {
    if let Value::Str(text) = value { Ok(text) } else { Err(mismatch()) }
}

fn bytes(value: &Value) -> Result<&[u8]> {
    value.as_bytes().ok_or_else(mismatch)
}

fn number(value: &Value) -> Result<u64> {
    if let Value::Uint64(number) = value { Ok(number.swap_bytes()) } else { Err(mismatch()) }
}

fn read_related(value: Value) -> Result<Vec<(String, Checksum)>> {
    let Value::Array(_, items) = value else { return Err(mismatch()) };
    let pair = |item| match item {
        Value::Tuple(members) => match <[Value; 2]>::try_from(members) {
            Ok([name, checksum]) => Ok((text(name)?, Checksum::from_slice(bytes(&checksum)?)?)),
            Err(_) => Err(mismatch()),
        },
        _ => Err(mismatch()),
    };
    items.into_iter().map(pair).collect()
}
