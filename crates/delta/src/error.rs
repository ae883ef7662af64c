use std::io;

use trefoil_format::checksum::Checksum;
use trefoil_format::error::FormatError;

/// Result of reading or making a part of a static delta.
pub type Result<T> = std::result::Result<T, DeltaError>;

/// Why a static delta was refused. The cause is in the source chain, not in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// Bytes that are no normal form of their type, or a value in them that is not allowed.
    #[error("Invalid static delta: reading its {what}")]
    Format {
        /// What was read.
        what: &'static str,
        /// Where and why.
        #[source]
        source: FormatError,
    },
    /// The layout is right, but not what it says.
    #[error("Invalid static delta: {0}")]
    Invalid(String),
    /// A part of a later version of the format.
    #[error("Delta part has too new version {0}")]
    TooNew(u32),
    /// The bytes of a part are not those the superblock promises.
    #[error("Checksum mismatch in static delta part; expected={expected} actual={actual}")]
    PartChecksum {
        /// What the superblock says.
        expected: Checksum,
        /// That of the bytes.
        actual: Checksum,
    },
    /// A way to compress that nobody uses.
    #[error("Invalid compression type '{0}'")]
    Compression(u8),
    /// A part that does not end where its superblock says it must.
    #[error("static delta part expands to more than {limit} bytes")]
    TooLarge {
        /// The most it may expand to, in bytes.
        limit: u64,
    },
    /// LZMA data that is broken or wants too much memory.
    #[error("decompressing static delta part")]
    Decompress(#[source] io::Error),
    /// LZMA data could not be made.
    #[error("compressing static delta part")]
    Compress(#[source] io::Error),
    /// An operation that cannot be carried out.
    #[error("opcode {op} at offset {offset}: {problem}")]
    Op {
        /// Its name.
        op: &'static str,
        /// Where it lies among the operations, in bytes.
        offset: usize,
        /// What is wrong.
        problem: String,
    },
    /// A part that cannot be carried out.
    #[error("Executing delta part {index}")]
    Part {
        /// Its place in the delta.
        index: usize,
        /// Why.
        #[source]
        source: Box<DeltaError>,
    },
    /// A patch that does not fit what it is applied to.
    #[error("bsdiff patch failed")]
    Patch(#[source] io::Error),
}

impl DeltaError {
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        DeltaError::Invalid(why.into())
    }

    pub(crate) fn format(what: &'static str) -> impl Fn(FormatError) -> Self {
        move |source| DeltaError::Format { what, source }
    }
}
