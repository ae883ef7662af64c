//! Strings and bytestrings with their escapes.

use super::Range;
use super::token::Token;
use crate::error::Result;

/// Decodes `'...'` or `"..."`.
pub fn string(token: Token<'_>) -> Result<String> {
    let body = unquote(token, 0)?;
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            out.push(c);
            continue;
        }
        // A backslash is never last: it would have escaped the closing quote.
        let Some(escape) = rest.chars().next() else { break };
        rest = &rest[escape.len_utf8()..];
        match escape {
            'u' | 'U' => {
                let digits = if escape == 'u' { 4 } else { 8 };
                let at = token.range.start + 1 + (body.len() - rest.len());
                out.push(code_point(rest, digits, at)?);
                rest = &rest[digits..];
            }
            '\n' => {}
            _ => out.push(letter(escape).map_or(escape, char::from)),
        }
    }
    Ok(out)
}

/// Decodes `b'...'` or `b"..."` and appends the NUL the value ends in. Like GLib this stops at
/// a NUL that was escaped.
pub fn bytestring(token: Token<'_>) -> Result<Vec<u8>> {
    let body = unquote(token, 1)?.as_bytes();
    let mut out = Vec::with_capacity(body.len() + 1);
    let mut at = 0;
    while at < body.len() {
        let byte = body[at];
        at += 1;
        if byte != b'\\' || at == body.len() {
            out.push(byte);
            continue;
        }
        if matches!(body[at], b'0'..=b'7') {
            let digits = body[at..].iter().take(3).take_while(|b| matches!(b, b'0'..=b'7'));
            let (value, len) = digits.fold((0_u8, 0), |(value, len), digit| {
                (value.wrapping_shl(3) | (digit - b'0'), len + 1)
            });
            out.push(value);
            at += len;
            continue;
        }
        match body[at] {
            b'\n' => {}
            escape => out.push(letter(char::from(escape)).unwrap_or(escape)),
        }
        at += 1;
    }
    out.truncate(out.iter().position(|byte| *byte == 0).unwrap_or(out.len()));
    out.push(0);
    Ok(out)
}

/// Strips `skip` bytes and the quotes.
fn unquote(token: Token<'_>, skip: usize) -> Result<&str> {
    let unterminated = || token.range.error("unterminated string constant");
    let text = &token.text[skip..];
    let quote = text.chars().next().ok_or_else(unterminated)?;
    let body = text[1..].strip_suffix(quote).ok_or_else(unterminated)?;
    let backslashes = body.len() - body.trim_end_matches('\\').len();
    if backslashes % 2 == 1 { Err(unterminated()) } else { Ok(body) }
}

fn letter(escape: char) -> Option<u8> {
    Some(match escape {
        'a' => b'\x07',
        'b' => b'\x08',
        'f' => b'\x0c',
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => b'\x0b',
        _ => return None,
    })
}

/// Reads exactly `digits` hex digits; zero and surrogates are no characters.
fn code_point(text: &str, digits: usize, at: usize) -> Result<char> {
    let valid = text.bytes().take(digits).take_while(u8::is_ascii_hexdigit).count();
    let refused = || {
        let range = Range { start: at, end: at + valid };
        range.error(format!("invalid {digits}-character unicode escape"))
    };
    if valid < digits {
        return Err(refused());
    }
    let number = u32::from_str_radix(&text[..digits], 16).map_err(|_| refused())?;
    char::from_u32(number).filter(|c| *c != '\0').ok_or_else(refused)
}
