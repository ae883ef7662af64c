//! Reading the text form of values: tokens, then a tree, then types, then the value.
//!
//! Text does not always say its type (`[]`, `1`), so each part of the tree yields a
//! [`pattern::Pattern`], the patterns of neighbours are unified, and the result decides how
//! numbers and strings are read.

mod build;
mod number;
mod parse;
mod pattern;
mod quoted;
mod token;

use super::Value;
use crate::error::{FormatError, Result};
use parse::Node;

impl Value {
    /// Reads the text form without an expected type, as `g_variant_parse` does and `ostree
    /// commit --add-metadata` accepts it.
    ///
    /// Messages and positions are GLib's. A few oddities are not followed: `-` alone is no
    /// number here, and a lone surrogate in an escape is refused instead of crashing. GLib's text
    /// ends at a NUL; here it is refused.
    pub fn parse_text(text: &str) -> Result<Value> {
        if let Some(at) = text.find('\0') {
            return Err(Range::point(at).error("NUL in the text"));
        }
        let tree = parse::parse(text)?;
        tree.infer()
    }
}

/// A stretch of the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: usize,
    end: usize,
}

impl Range {
    /// The place of one token, which GLib names by its start alone.
    fn point(at: usize) -> Self {
        Range { start: at, end: at }
    }

    fn error(self, why: impl Into<std::borrow::Cow<'static, str>>) -> FormatError {
        FormatError::Text { at: self.to_string(), why: why.into() }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.start == self.end {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.end)
        }
    }
}

impl Node<'_> {
    /// Chooses the type on its own and builds the value.
    fn infer(&self) -> Result<Value> {
        let ty =
            self.pattern()?.resolve().ok_or_else(|| self.range.error("unable to infer type"))?;
        self.build(&ty)
    }
}
