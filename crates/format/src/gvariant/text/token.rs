//! Splits the text into tokens.

use super::Range;
use crate::error::{FormatError, Result};

/// A token; empty at the end of the text.
#[derive(Debug, Clone, Copy)]
pub struct Token<'t> {
    pub text: &'t str,
    pub range: Range,
}

impl Token<'_> {
    /// The error of meeting this token where something else should stand.
    pub fn unexpected(&self, why: &'static str) -> FormatError {
        Range::point(self.range.start).error(why)
    }

    pub fn starts_with(&self, first: char) -> bool {
        self.text.starts_with(first)
    }

    /// Numbers start with a digit, a sign or a point; `inf` and `nan` look like words.
    pub fn is_number(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            || matches!(self.text, "inf" | "nan")
    }

    /// Words of one letter are not keywords.
    pub fn is_keyword(&self) -> bool {
        let mut bytes = self.text.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_lowercase())
            && bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
    }

    /// Tells whether this is a bytestring such as `b'x'`.
    pub fn is_bytestring(&self) -> bool {
        self.text.starts_with("b'") || self.text.starts_with("b\"")
    }
}

pub struct Tokens<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Tokens<'t> {
    pub fn new(text: &'t str) -> Self {
        Tokens { text, position: 0 }
    }

    /// Returns the next token and leaves it there.
    pub fn peek(&mut self) -> Token<'t> {
        let rest = &self.text[self.position..];
        let trimmed = rest.trim_start_matches(is_space);
        self.position += rest.len() - trimmed.len();
        let len = token_len(trimmed);
        let range = Range { start: self.position, end: self.position + len };
        Token { text: &trimmed[..len], range }
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.position = token.range.end;
        token
    }

    /// Takes the next token if it is `text`.
    pub fn take(&mut self, text: &str) -> bool {
        let token = self.peek();
        let found = token.text == text;
        if found {
            self.position = token.range.end;
        }
        found
    }

    /// Takes the next token, which has to be `text`.
    pub fn require(&mut self, text: &str, why: &'static str) -> Result<()> {
        if self.take(text) { Ok(()) } else { Err(self.peek().unexpected(why)) }
    }

    /// Returns where the last taken token ended.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// What `g_ascii_isspace` knows.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

fn token_len(text: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    let prefix = |part: fn(char) -> bool| text.find(|c| !part(c)).unwrap_or(text.len());
    match first {
        '-' | '+' | '.' | '0'..='9' => {
            prefix(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
        }
        'b' if text[1..].starts_with(['\'', '"']) => 1 + quoted_len(&text[1..]),
        'a'..='z' => prefix(|c| c.is_ascii_alphanumeric()),
        '\'' | '"' => quoted_len(text),
        '@' => declaration_len(text),
        other => other.len_utf8(),
    }
}

/// Length up to the closing quote, or to the end if there is none.
fn quoted_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == bytes[0] => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A type declaration ends at a space, a comma, a colon or a bracket it did not open.
fn declaration_len(text: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            ',' | ':' | '>' | ']' => return at,
            c if is_space(c) => return at,
            '(' | '{' => open += 1,
            ')' | '}' if open == 0 => return at,
            ')' | '}' => open -= 1,
            _ => {}
        }
    }
    text.len()
}
