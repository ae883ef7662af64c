use super::{KeyInfo, SignatureReport};
use crate::{Result, SignError};

/// Public keys. This build can neither read nor use any.
#[derive(Clone, Debug, Default)]
pub struct Keyring;

/// Always `None`.
pub fn wkd_urls(_email: &str) -> Option<(String, String)> {
    None
}

impl Keyring {
    /// Always empty.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Always an error.
    pub fn add(&mut self, _content: &[u8]) -> Result<usize> {
        Err(SignError::GpgDisabled)
    }

    /// Always an error.
    pub fn import(&mut self, _source: &Keyring, _wanted: &[String]) -> Result<usize> {
        Err(SignError::GpgDisabled)
    }

    /// Always an error.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Err(SignError::GpgDisabled)
    }

    /// Always an error.
    pub fn keys(&self, _now: u64) -> Result<Vec<KeyInfo>> {
        Err(SignError::GpgDisabled)
    }

    /// Always none.
    pub fn primary_fingerprint(&self, _id: &str) -> Option<String> {
        None
    }

    /// Always an error.
    pub fn verify(
        &self,
        _data: &[u8],
        _signatures: &[&[u8]],
        _now: u64,
    ) -> Result<Vec<SignatureReport>> {
        Err(SignError::GpgDisabled)
    }
}
