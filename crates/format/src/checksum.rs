//! SHA-256 checksums and their text forms.

use std::fmt;
use std::io;
use std::str::FromStr;

use data_encoding::{BASE64_NOPAD, Encoding, HEXLOWER, Specification};
use sha2::Digest;
use std::sync::LazyLock;

use crate::error::{FormatError, Result, cut};

/// A SHA-256 checksum; its order is the order of its hex form.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// Length of the binary form in bytes.
    pub const LEN: usize = 32;
    /// Length of the hex form in characters.
    pub const HEX_LEN: usize = 64;
    /// Length of the base64 form in characters.
    pub const BASE64_LEN: usize = 43;

    /// Wraps 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Checksum(bytes)
    }

    /// Takes exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Checksum).map_err(|_| FormatError::ChecksumLength { len: bytes.len() })
    }

    /// Reads exactly 64 lowercase hex digits; uppercase is refused, as libostree does.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        let valid = text.len() == Self::HEX_LEN
            && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) == Ok(Self::LEN);
        if valid { Ok(Checksum(bytes)) } else { Err(refused(text, "64 lowercase hex digits")) }
    }

    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Checksum(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the binary form.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns 64 lowercase hex digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Writes 64 lowercase hex digits into `buffer` and returns them; allocates nothing.
    pub fn write_hex<'b>(&self, buffer: &'b mut [u8; 64]) -> &'b str {
        HEXLOWER.encode_mut_str(&self.0, buffer)
    }

    /// Returns the 43 characters libostree uses in names of static deltas: base64 without
    /// padding and with `_` for `/`.
    pub fn to_base64(&self) -> String {
        DELTA_BASE64.encode(&self.0)
    }

    /// Reads the form of [`Checksum::to_base64`]; stray bits in the last character are refused.
    pub fn from_base64(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        let valid = text.len() == Self::BASE64_LEN
            && DELTA_BASE64.decode_mut(text.as_bytes(), &mut bytes) == Ok(Self::LEN);
        if valid {
            Ok(Checksum(bytes))
        } else {
            Err(refused(text, "43 characters of base64 with '_' for '/'"))
        }
    }
}

static DELTA_BASE64: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification: Specification = BASE64_NOPAD.specification();
    specification.symbols = specification.symbols.replace('/', "_");
    specification.encoding().expect("64 distinct ASCII symbols")
});

fn refused(text: &str, expected: &'static str) -> FormatError {
    FormatError::ChecksumText { text: cut(text, Checksum::HEX_LEN), expected }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.write_hex(&mut [0; 64]))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_hex(text)
    }
}

/// Computes a [`Checksum`] piece by piece. Writing to it never fails.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Starts with no input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the checksum of everything added.
    pub fn finish(self) -> Checksum {
        Checksum(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
