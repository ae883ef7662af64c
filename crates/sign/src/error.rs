use crate::SignType;

/// Result of signing and verifying.
pub type Result<T> = std::result::Result<T, SignError>;

/// Why a key could not be used or a signature does not hold. The words are libostree's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// A name that is no type of signature.
    #[error("Requested signature type is not implemented")]
    UnknownType {
        /// As it was asked for.
        name: String,
    },
    /// The type `dummy` was not allowed by the caller.
    #[error("dummy signature type is only for ostree testing")]
    DummyDisabled,
    /// A key that is not of the form its type wants.
    #[error("Invalid {ty} {role} key: {problem}")]
    Key {
        /// The type of signature.
        ty: SignType,
        /// `public`, `secret` or `revoked`.
        role: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of keys that does not have the form of its type.
    #[error("{0}")]
    KeyFile(String),
    /// A signature that cannot be one.
    #[error("Invalid signature: {0}")]
    Malformed(String),
    /// The object carries no signature of this type.
    #[error("{}", missing(*.ty))]
    Missing {
        /// The type of signature.
        ty: SignType,
    },
    /// There is no key to verify with.
    #[error("signature: {ty}: no keys loaded")]
    NoKeys {
        /// The type of signature.
        ty: SignType,
    },
    /// No signature holds with any key. At most three keys are named.
    #[error("{}", refused(*.ty, *.tried, keys))]
    Refused {
        /// The type of signature.
        ty: SignType,
        /// How often a signature was tried with a key.
        tried: usize,
        /// The keys in hexadecimal, in the order they were tried.
        keys: Vec<String>,
    },
    /// More signatures than anyone needs.
    #[error("{count} signatures under {key}, at most {} are looked at", crate::MAX_SIGNATURES)]
    TooMany {
        /// The key of the metadata.
        key: String,
        /// How many there are.
        count: usize,
    },
    /// The secret key cannot sign.
    #[error("Failed to sign: {0}")]
    Signing(String),
    /// OpenPGP data that cannot be read.
    #[error("GPG: {what}: {problem}")]
    Gpg {
        /// What was being done.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// This build has no OpenPGP.
    #[error("GPG has been disabled at build time")]
    GpgDisabled,
}

fn missing(ty: SignType) -> String {
    let prefix = if ty == SignType::Dummy { "signature: " } else { "" };
    format!("{prefix}{ty}: commit have no signatures of my type")
}

fn refused(ty: SignType, tried: usize, keys: &[String]) -> String {
    match (ty, tried) {
        (SignType::Dummy, n) => format!("signature: dummy: incorrect signatures found: {n}"),
        (ty, 0) => format!("{ty}: no signatures found"),
        (ty, 1..=3) => {
            let named: Vec<String> = keys.iter().map(|key| format!("key '{key}'")).collect();
            format!("{ty}: Signature couldn't be verified with: {}", named.join("; "))
        }
        (ty, n) => format!("{ty}: Signature couldn't be verified; tried {n} keys"),
    }
}
