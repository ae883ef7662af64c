//! Signatures of OSTree: `ed25519`, `spki` and `dummy`, and OpenPGP.
//!
//! Everything here is a function of bytes: no I/O, no clock, no environment. Keys, signatures
//! and what was signed come from outside; whatever they hold gives a verdict or an error, never
//! a panic, and nothing is trusted because it could be parsed.
//!
//! A commit's signatures lie in its detached metadata and those of a summary in `summary.sig`,
//! both an `a{sv}` with one key per type: [`SignType::metadata_key`] and [`gpg::METADATA_KEY`],
//! each an `aay`.

mod algorithm;
mod error;
pub mod gpg;
mod key_file;
mod secret;
mod sign_type;
mod verifier;

use trefoil_format::gvariant::{Metadata, Type, Value};

pub use error::{Result, SignError};
pub use secret::SecretKey;
pub use sign_type::SignType;
pub use verifier::Verifier;

/// Most signatures of one type that are looked at; more are an error.
pub const MAX_SIGNATURES: usize = 1024;

/// The signatures under `key`, `None` where there are none or they are of another type.
///
/// # Errors
/// More than [`MAX_SIGNATURES`].
pub fn signatures<'a>(metadata: &'a Metadata, key: &str) -> Result<Option<Vec<&'a [u8]>>> {
    let Some(Value::Array(element, items)) = metadata.get(key) else { return Ok(None) };
    if *element != Type::bytes() {
        return Ok(None);
    }
    if items.len() > MAX_SIGNATURES {
        return Err(SignError::TooMany { key: key.to_string(), count: items.len() });
    }
    Ok(Some(items.iter().filter_map(Value::as_bytes).collect()))
}

/// Puts a signature behind those that are under `key`; what is there but is no `aay` is
/// replaced.
pub fn append_signature(metadata: &mut Metadata, key: &str, signature: Vec<u8>) {
    let mut items = match metadata.get(key) {
        Some(Value::Array(element, items)) if *element == Type::bytes() => items.clone(),
        _ => Vec::new(),
    };
    items.push(Value::Bytes(signature));
    metadata.set(key, Value::Array(Type::bytes(), items));
}
