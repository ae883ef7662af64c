//! The text form of values, as `g_variant_print` writes it.

use std::fmt::Write as _;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{Type, Value};

impl Value {
    /// Prints the value as GLib 2.74 does. With `annotate` the text names types where they
    /// could not be inferred, so that [`Value::parse_text`] gives back the same value.
    pub fn print(&self, annotate: bool) -> String {
        let mut text = String::new();
        print(self, annotate, &mut text);
        text
    }
}

fn print(value: &Value, annotate: bool, out: &mut String) {
    match value {
        Value::Bool(b) => push(out, b),
        Value::Byte(n) => push(out, format_args!("{}0x{n:02x}", prefix(annotate, "byte "))),
        Value::Int16(n) => push(out, format_args!("{}{n}", prefix(annotate, "int16 "))),
        Value::Uint16(n) => push(out, format_args!("{}{n}", prefix(annotate, "uint16 "))),
        Value::Int32(n) => push(out, n),
        Value::Uint32(n) => push(out, format_args!("{}{n}", prefix(annotate, "uint32 "))),
        Value::Int64(n) => push(out, format_args!("{}{n}", prefix(annotate, "int64 "))),
        Value::Uint64(n) => push(out, format_args!("{}{n}", prefix(annotate, "uint64 "))),
        Value::Handle(n) => push(out, format_args!("{}{n}", prefix(annotate, "handle "))),
        Value::Double(n) => push_double(out, *n),
        Value::Str(text) => push_quoted(out, text),
        Value::ObjectPath(text) => {
            push(out, format_args!("{}'{text}'", prefix(annotate, "objectpath ")));
        }
        Value::Signature(text) => {
            push(out, format_args!("{}'{text}'", prefix(annotate, "signature ")));
        }
        Value::Variant(inner) => {
            out.push('<');
            print(inner, true, out);
            out.push('>');
        }
        Value::Maybe(content, inner) => print_maybe(content, inner.as_deref(), annotate, out),
        Value::Bytes(bytes) => print_bytes(bytes, annotate, out),
        Value::Array(Type::DictEntry(_), items) => print_dict(value, items, annotate, out),
        Value::Array(_, items) if items.is_empty() => print_empty(value, annotate, "[]", out),
        Value::Array(_, items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                print(item, annotate && index == 0, out);
            }
            out.push(']');
        }
        Value::Tuple(members) => print_tuple(members, annotate, out),
        Value::DictEntry(entry) => {
            out.push('{');
            print(&entry.0, annotate, out);
            out.push_str(", ");
            print(&entry.1, annotate, out);
            out.push('}');
        }
    }
}

/// Appends something formatted.
fn push(out: &mut String, what: impl std::fmt::Display) {
    write!(out, "{what}").expect("writing to a string cannot fail");
}

fn prefix(annotate: bool, name: &'static str) -> &'static str {
    if annotate { name } else { "" }
}

fn print_empty(value: &Value, annotate: bool, text: &str, out: &mut String) {
    if annotate {
        push(out, format_args!("@{} ", value.ty()));
    }
    out.push_str(text);
}

/// `just` is left out where the content says enough: only a nested nothing needs it.
fn print_maybe(content: &Type, inner: Option<&Value>, annotate: bool, out: &mut String) {
    if annotate {
        push(out, format_args!("@m{content} "));
    }
    let mut justs = 0;
    let mut rest = inner;
    while let Some(Value::Maybe(_, deeper)) = rest {
        justs += 1;
        rest = deeper.as_deref();
    }
    match rest {
        Some(value) => print(value, false, out),
        None => {
            out.push_str(&"just ".repeat(justs));
            out.push_str("nothing");
        }
    }
}

/// Bytes that are a C string look like one.
fn print_bytes(bytes: &[u8], annotate: bool, out: &mut String) {
    match bytes.split_last() {
        None => print_empty(&Value::Bytes(Vec::new()), annotate, "[]", out),
        Some((0, text)) if !text.contains(&0) => {
            let quote = if text.contains(&b'\'') { '"' } else { '\'' };
            out.push('b');
            out.push(quote);
            text.iter().for_each(|byte| push_escaped_byte(out, *byte));
            out.push(quote);
        }
        Some(_) => {
            out.push('[');
            for (index, byte) in bytes.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                print(&Value::Byte(*byte), annotate && index == 0, out);
            }
            out.push(']');
        }
    }
}

/// Escapes like `g_strescape`, which knows fewer letters than strings have.
fn push_escaped_byte(out: &mut String, byte: u8) {
    match byte {
        b'\x08' => out.push_str("\\b"),
        b'\x0c' => out.push_str("\\f"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        b'\x0b' => out.push_str("\\v"),
        b'\\' => out.push_str("\\\\"),
        b'"' => out.push_str("\\\""),
        b' '..=b'~' => out.push(char::from(byte)),
        _ => push(out, format_args!("\\{byte:03o}")),
    }
}

fn print_dict(value: &Value, items: &[Value], annotate: bool, out: &mut String) {
    if items.is_empty() {
        return print_empty(value, annotate, "{}", out);
    }
    out.push('{');
    for (index, item) in items.iter().enumerate() {
        if let Value::DictEntry(entry) = item {
            out.push_str(if index == 0 { "" } else { ", " });
            print(&entry.0, annotate && index == 0, out);
            out.push_str(": ");
            print(&entry.1, annotate && index == 0, out);
        }
    }
    out.push('}');
}

fn print_tuple(members: &[Value], annotate: bool, out: &mut String) {
    out.push('(');
    for (index, member) in members.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        print(member, annotate, out);
    }
    out.push_str(if members.len() == 1 { ",)" } else { ")" });
}

fn push_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            _ if c == quote => {
                out.push('\\');
                out.push(quote);
            }
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            _ if is_printable(c) => out.push(c),
            _ if u32::from(c) < 0x1_0000 => push(out, format_args!("\\u{:04x}", u32::from(c))),
            _ => push(out, format_args!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
}

fn is_printable(c: char) -> bool {
    !matches!(
        c.general_category(),
        GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::Unassigned
    )
}

/// Prints like `%.17g` of C, with `.0` where nothing else tells it from an integer.
fn push_double(out: &mut String, number: f64) {
    let text = if number.is_nan() {
        if number.is_sign_negative() { "-nan" } else { "nan" }.to_owned()
    } else if number.is_infinite() {
        number.to_string()
    } else {
        shortest_general(number)
    };
    out.push_str(&text);
    if !text.contains(['.', 'e', 'n']) {
        out.push_str(".0");
    }
}

fn shortest_general(number: f64) -> String {
    const DIGITS: i32 = 17;
    // Rounding to 17 digits can carry into the exponent, so the exponent is read from the text.
    let scientific = format!("{number:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        return without_trailing_zeros(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs())
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
