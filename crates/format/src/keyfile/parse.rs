//! From text to groups, line by line.

use std::collections::HashMap;

use super::{Group, KeyFile, KeyFileError, Line, MAX_KEY_FILE_SIZE};

impl KeyFile {
    /// Reads a key file.
    ///
    /// Fails where GLib fails (a line that is no group, pair or comment, a pair before the first
    /// group, a bad name, an `Encoding` other than UTF-8 in the first group), and besides on text
    /// above [`MAX_KEY_FILE_SIZE`] and on NUL, which GLib takes for the end of the line. Takes
    /// time and memory in proportion to the text.
    pub fn parse(text: &str) -> Result<KeyFile, KeyFileError> {
        if text.len() > MAX_KEY_FILE_SIZE {
            let what = format!("{} bytes, more than {MAX_KEY_FILE_SIZE}", text.len());
            return Err(KeyFileError { line: 0, what });
        }
        let mut parser = Parser::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let line = match line.strip_suffix('\n') {
                Some(ended) => ended.strip_suffix('\r').unwrap_or(ended),
                None => line,
            };
            parser.line(line).map_err(|what| KeyFileError { line: index + 1, what })?;
        }
        Ok(parser.file)
    }

    /// Reads a key file from bytes, which must be UTF-8; fails like [`KeyFile::parse`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<KeyFile, KeyFileError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            KeyFileError { line, what: "not UTF-8".to_owned() }
        })?;
        KeyFile::parse(text)
    }
}

#[derive(Default)]
struct Parser<'a> {
    file: KeyFile,
    current: Option<usize>,
    seen: HashMap<&'a str, usize>,
}

impl<'a> Parser<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), String> {
        if line.contains('\0') {
            return Err("NUL byte".to_owned());
        }
        let start = line.trim_start_matches(|c: char| c.is_ascii_whitespace());
        if start.is_empty() || start.starts_with('#') {
            self.text(line);
            return Ok(());
        }
        if let Some(name) = group_header(start) {
            return self.group(name);
        }
        match start.split_once('=') {
            Some((key, value)) if !key.is_empty() => self.pair(key, value),
            _ => Err(format!("{line:?} is no group, key or comment")),
        }
    }

    fn text(&mut self, line: &str) {
        match self.current {
            Some(at) => self.file.groups[at].lines.push(Line::Text(line.to_owned())),
            None => self.file.head.push(line.to_owned()),
        }
    }

    fn group(&mut self, name: &'a str) -> Result<(), String> {
        if !is_group_name(name) {
            return Err(format!("invalid group name {name:?}"));
        }
        let groups = &mut self.file.groups;
        let at = *self.seen.entry(name).or_insert_with(|| {
            groups.push(Group { name: name.to_owned(), lines: Vec::new() });
            groups.len() - 1
        });
        self.current = Some(at);
        Ok(())
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), String> {
        let key = key.trim_end_matches(|c: char| c.is_ascii_whitespace());
        let value = value.trim_start_matches(|c: char| c.is_ascii_whitespace());
        if !is_key_name(key) {
            return Err(format!("invalid key name {key:?}"));
        }
        let at = self.current.ok_or_else(|| format!("key {key:?} before the first group"))?;
        if at == 0 && key == "Encoding" && !value.eq_ignore_ascii_case("UTF-8") {
            return Err(format!("unsupported encoding {value:?}"));
        }
        let pair = Line::Pair { key: key.to_owned(), value: value.to_owned() };
        self.file.groups[at].lines.push(pair);
        Ok(())
    }
}

/// The name in `[name]`, if the line has that form; blanks may follow the bracket.
fn group_header(line: &str) -> Option<&str> {
    let (name, after) = line.strip_prefix('[')?.split_once(']')?;
    after.trim_matches([' ', '\t']).is_empty().then_some(name)
}

pub(super) fn is_group_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| matches!(c, '[' | ']') || c.is_ascii_control())
}

/// Tells whether GLib takes the key: no brackets but those of a locale at its end, and no space
/// around the base name.
pub(super) fn is_key_name(key: &str) -> bool {
    let (base, locale) = match key.split_once('[') {
        Some((base, rest)) => (base, rest.strip_suffix(']')),
        None => (key, Some("")),
    };
    let in_locale = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    !base.is_empty()
        && !base.contains(['=', ']'])
        && !base.starts_with(' ')
        && !base.ends_with(' ')
        && locale.is_some_and(|locale| locale.chars().all(in_locale))
}
