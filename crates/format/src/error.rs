//! Why bytes or text are not what they should be.

use std::borrow::Cow;

/// Result of reading one of the formats of this crate.
pub type Result<T> = std::result::Result<T, FormatError>;

/// Bytes or text from outside were refused.
///
/// Where libostree has a message that scripts look for, the text is the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A checksum written as text has the wrong length or a wrong digit.
    #[error("Invalid rev {text}: expected {expected}")]
    ChecksumText {
        /// The text, cut and without line breaks.
        text: String,
        /// What a checksum looks like.
        expected: &'static str,
    },
    /// A binary checksum is not 32 bytes long.
    #[error("Invalid checksum of length {len} expected 32")]
    ChecksumLength {
        /// The length found, in bytes.
        len: usize,
    },
    /// The bytes are not the normal form of the variant type.
    #[error("{what} is not in normal form: at byte {offset}: expected {expected}")]
    NotNormal {
        /// The format that was read.
        what: &'static str,
        /// Where, in bytes from the start of the input.
        offset: usize,
        /// The rule that was broken.
        expected: &'static str,
    },
    /// The layout is right, but a value in it is not allowed.
    #[error("Invalid {what}: {why}")]
    Invalid {
        /// The format or part of it that was read.
        what: &'static str,
        /// The value and the rule.
        why: Cow<'static, str>,
    },
    /// A file name that cannot be one component of a path.
    #[error("Invalid {problem} {name}")]
    EntryName {
        /// The name, lossily decoded and cut.
        name: String,
        /// What is wrong with it, such as `/ in filename`.
        problem: &'static str,
    },
    /// A ref, remote, refspec or collection ID breaks its grammar.
    #[error("Invalid {what} {name}")]
    Name {
        /// Which kind of name.
        what: &'static str,
        /// The name, cut.
        name: String,
    },
    /// The input is longer than this program reads.
    #[error("{what} of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// The format.
        what: &'static str,
        /// Size found or announced, in bytes.
        size: u64,
        /// Largest accepted size, in bytes.
        limit: u64,
    },
    /// The text form of a variant cannot be read. Message and place are as in GLib.
    #[error("{at}:{why}")]
    Text {
        /// Byte positions: `START`, `START-END`, or two ranges joined by a comma.
        at: String,
        /// What is wrong.
        why: Cow<'static, str>,
    },
}

impl FormatError {
    pub(crate) fn invalid(what: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        FormatError::Invalid { what, why: why.into() }
    }

    pub(crate) fn name(what: &'static str, name: &str) -> Self {
        FormatError::Name { what, name: cut(name, 255) }
    }
}

/// Shortens text from outside for a message and replaces its control characters, so that a
/// web page served instead of a ref does not fill the screen.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
