//! A superblock with signatures around it: `(taya{sv})`.

use trefoil_format::gvariant::{Metadata, Type, Value};

use crate::{DeltaError, Result};

/// The first bytes, as a big-endian number.
const MAGIC: u64 = 0x4F53_5453_474E_4454;
const WHAT: &str = "signed superblock";
/// What the keys of signatures start with; the name of the signature type follows.
const KEY_PREFIX: &str = "ostree.sign.";

/// A superblock and its signatures, none of them checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedDelta {
    /// The bytes that are signed: those of the superblock.
    pub superblock: Vec<u8>,
    /// By signature type, for example `ostree.sign.ed25519`, an `aay`.
    pub signatures: Metadata,
}

/// Tells whether the bytes are those of a [`SignedDelta`] rather than of a superblock.
pub fn is_signed(data: &[u8]) -> bool {
    data.starts_with(&MAGIC.to_be_bytes())
}

impl SignedDelta {
    /// Reads the container; see [`is_signed`].
    pub fn parse(data: &[u8]) -> Result<Self> {
        let mismatch = || DeltaError::invalid("no signatures in static-delta");
        if !is_signed(data) {
            return Err(mismatch());
        }
        let ty = Type::tuple([Type::Uint64, Type::bytes(), Type::vardict()]);
        let value = Value::parse(&ty, data).map_err(DeltaError::format(WHAT))?;
        let Value::Tuple(members) = value else { return Err(mismatch()) };
        match <[Value; 3]>::try_from(members) {
            Ok([Value::Uint64(magic), Value::Bytes(superblock), signatures])
                if magic == MAGIC.swap_bytes() =>
            {
                let signatures =
                    Metadata::from_value(signatures).map_err(DeltaError::format(WHAT))?;
                Ok(SignedDelta { superblock, signatures })
            }
            _ => Err(mismatch()),
        }
    }

    /// Serialises the container.
    pub fn to_bytes(&self) -> Vec<u8> {
        let superblock = Value::Bytes(self.superblock.clone());
        let magic = Value::Uint64(MAGIC.swap_bytes());
        Value::Tuple(vec![magic, superblock, self.signatures.to_value()]).to_bytes()
    }

    /// The signatures of one type, for example `ed25519`; `None` where there is none.
    pub fn signatures_of(&self, sign_type: &str) -> Option<Vec<&[u8]>> {
        let value = self.signatures.get(&format!("{KEY_PREFIX}{sign_type}"))?;
        value.as_array()?.iter().map(Value::as_bytes).collect()
    }

    /// The names of the types there are signatures of.
    pub fn sign_types(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().filter_map(|(key, _)| key.strip_prefix(KEY_PREFIX))
    }

    /// Adds the signatures of one type, in the place of those that were there.
    pub fn set_signatures(&mut self, sign_type: &str, signatures: Vec<Vec<u8>>) {
        let items = signatures.into_iter().map(Value::Bytes).collect();
        self.signatures.set(format!("{KEY_PREFIX}{sign_type}"), Value::Array(Type::bytes(), items));
    }
}
