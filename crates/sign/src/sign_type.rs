use std::fmt;
use std::str::FromStr;

use crate::SignError;

/// A type of signature that is not OpenPGP.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignType {
    /// Ed25519: keys of 32 bytes, secret keys of 64 (seed and public key), in base64.
    Ed25519,
    /// Any algorithm with a public key in X.509 form (SubjectPublicKeyInfo).
    Spki,
    /// No signature at all: a word that is compared. For tests of libostree.
    Dummy,
}

impl SignType {
    /// All types, in the order libostree tries them.
    pub const ALL: [SignType; 3] = [SignType::Ed25519, SignType::Spki, SignType::Dummy];

    /// The word for it in settings and options.
    pub fn name(self) -> &'static str {
        match self {
            SignType::Ed25519 => "ed25519",
            SignType::Spki => "spki",
            SignType::Dummy => "dummy",
        }
    }

    /// The key of its signatures in detached metadata and in `summary.sig`.
    pub fn metadata_key(self) -> &'static str {
        match self {
            SignType::Ed25519 => "ostree.sign.ed25519",
            SignType::Spki => "ostree.sign.spki",
            SignType::Dummy => "ostree.sign.dummy",
        }
    }
}

impl fmt::Display for SignType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignType {
    type Err = SignError;

    fn from_str(name: &str) -> Result<Self, SignError> {
        SignType::ALL
            .into_iter()
            .find(|ty| ty.name() == name)
            .ok_or_else(|| SignError::UnknownType { name: name.to_string() })
    }
}
