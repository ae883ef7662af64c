//! Escapes inside values.

/// Replaces the five escapes of a plain string; other backslashes stay.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => push_escaped(&mut out, rest.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Splits at `;` and unescapes each item, where `\;` is a semicolon too.
pub(super) fn split_list(raw: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            ';' => items.push(std::mem::take(&mut item)),
            '\\' => match rest.next() {
                Some(';') => item.push(';'),
                escaped => push_escaped(&mut item, escaped),
            },
            _ => item.push(c),
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

fn push_escaped(out: &mut String, escaped: Option<char>) {
    match escaped {
        Some('s') => out.push(' '),
        Some('n') => out.push('\n'),
        Some('t') => out.push('\t'),
        Some('r') => out.push('\r'),
        Some('\\') => out.push('\\'),
        other => {
            out.push('\\');
            out.extend(other);
        }
    }
}

/// Escapes a string, or one item of a list, as GLib writes it.
pub(super) fn escape(text: &str, in_list: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // A reader drops white space before a value, so only leading white space needs escaping; GLib
    // counts it as leading again after line breaks and separators.
    let mut leading = true;
    for c in text.chars() {
        match c {
            ' ' if leading => out.push_str("\\s"),
            '\t' if leading => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            ';' if in_list => {
                out.push_str("\\;");
                leading = true;
            }
            _ => {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
                leading = matches!(c, ' ' | '\t') && leading;
            }
        }
    }
    out
}
