//! GKeyFile text: the form of the repository config, remotes and origin files.
//!
//! Reading and writing follow GLib 2.74 with comments and translations kept, so that a file we
//! rewrite differs from what an administrator wrote only where we changed it. Every difference to
//! GLib is named at the item where it occurs.

mod escape;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

/// Longest text [`KeyFile::parse`] accepts, in bytes; real files hold a few kilobytes.
pub const MAX_KEY_FILE_SIZE: usize = 1 << 20;

/// A key file could not be read, or a value or name does not fit the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key file{}: {what}", place(*.line))]
pub struct KeyFileError {
    /// Line the error is about, counted from 1; 0 when it is not tied to a line of input.
    pub line: usize,
    /// What was wrong, naming the offending text.
    pub what: String,
}

/// Groups of keys in file order, with the comments and blank lines between them.
///
/// A group that occurs twice is one group, as in GLib. A key that occurs twice keeps both lines
/// when written, and its last value counts. Equality compares comments and order too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyFile {
    head: Vec<String>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    name: String,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
enum Line {
    Pair {
        key: String,
        value: String,
    },
    /// A comment or a blank line, verbatim.
    Text(String),
}

impl Line {
    fn has_key(&self, wanted: &str) -> bool {
        matches!(self, Line::Pair { key, .. } if key == wanted)
    }
}

impl Group {
    /// Puts a new pair after the last one, so that comments which close a group stay there; they
    /// mostly speak of the group below. (GLib 2.74 appends it after them; no file written by
    /// libostree has such comments, since it loads without them.)
    fn insert(&mut self, key: &str, value: String) {
        let last = self.lines.iter().rposition(|line| matches!(line, Line::Pair { .. }));
        let pair = Line::Pair { key: key.to_owned(), value };
        self.lines.insert(last.map_or(0, |at| at + 1), pair);
    }
}

/// Reading.
impl KeyFile {
    /// Returns the value as it stands in the file, without leading white space and not unescaped.
    pub fn raw(&self, group: &str, key: &str) -> Option<&str> {
        self.group(group)?.lines.iter().rev().find_map(|line| match line {
            Line::Pair { key: found, value } if found == key => Some(value.as_str()),
            _ => None,
        })
    }

    /// Returns the value with `\s`, `\n`, `\t`, `\r` and `\\` replaced.
    ///
    /// Any other backslash stays as written, where GLib would refuse the value.
    pub fn string(&self, group: &str, key: &str) -> Option<String> {
        self.raw(group, key).map(escape::unescape)
    }

    /// Returns a boolean: `true` or `1`, `false` or `0`, white space after it ignored.
    ///
    /// The inner error names the key when the value is anything else.
    pub fn bool(&self, group: &str, key: &str) -> Option<Result<bool, KeyFileError>> {
        let value = self.raw(group, key)?;
        Some(match value.trim_end_matches(|c: char| c.is_ascii_whitespace()) {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(misfit(group, key, value, "a boolean")),
        })
    }

    /// Returns an unsigned decimal number.
    ///
    /// Negative and too large numbers are errors; GLib wraps the first and caps the second.
    pub fn uint(&self, group: &str, key: &str) -> Option<Result<u64, KeyFileError>> {
        let value = self.raw(group, key)?;
        let digits = value.trim_start_matches(|c: char| c.is_ascii_whitespace());
        Some(digits.parse().map_err(|_| misfit(group, key, value, "an unsigned number")))
    }

    /// Returns the items of a `;` separated list, `\;` standing for a semicolon inside an item.
    ///
    /// The empty value is the empty list, and one separator at the end adds no item.
    pub fn list(&self, group: &str, key: &str) -> Option<Vec<String>> {
        self.raw(group, key).map(escape::split_list)
    }

    /// Tells whether the group exists, if only as a header.
    pub fn has_group(&self, group: &str) -> bool {
        self.group(group).is_some()
    }

    /// Iterates over group names in file order.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// Iterates over the keys of a group in file order; empty for an unknown group.
    ///
    /// A key the file repeats comes up as often as it stands there, as in GLib.
    pub fn keys(&self, group: &str) -> impl Iterator<Item = &str> {
        let lines = self.group(group).map_or(&[][..], |group| &group.lines);
        lines.iter().filter_map(|line| match line {
            Line::Pair { key, .. } => Some(key.as_str()),
            Line::Text(_) => None,
        })
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

/// Changing. Setters create the group at the end of the file if it is missing, and change nothing
/// when they return an error.
impl KeyFile {
    /// Sets a value as it shall stand in the file.
    ///
    /// Fails on a group or key name the format cannot hold, and on a value with a line break or
    /// NUL, which would become other lines when read back (GLib writes those).
    pub fn set_raw(&mut self, group: &str, key: &str, value: &str) -> Result<(), KeyFileError> {
        check_names(group, key)?;
        if value.contains(['\n', '\r', '\0']) {
            return Err(misfit(group, key, value, "a single line"));
        }
        self.put(group, key, value.to_owned());
        Ok(())
    }

    /// Sets a string, escaping line breaks, backslashes and leading white space.
    ///
    /// Fails like [`KeyFile::set_raw`].
    pub fn set_string(&mut self, group: &str, key: &str, value: &str) -> Result<(), KeyFileError> {
        self.set_raw(group, key, &escape::escape(value, false))
    }

    /// Sets `true` or `false`; fails on names like [`KeyFile::set_raw`].
    pub fn set_bool(&mut self, group: &str, key: &str, value: bool) -> Result<(), KeyFileError> {
        self.set_raw(group, key, if value { "true" } else { "false" })
    }

    /// Sets a list, each item escaped and followed by `;`; fails like [`KeyFile::set_raw`].
    pub fn set_list<S: AsRef<str>>(
        &mut self,
        group: &str,
        key: &str,
        items: &[S],
    ) -> Result<(), KeyFileError> {
        let mut value = String::new();
        for item in items {
            value.push_str(&escape::escape(item.as_ref(), true));
            value.push(';');
        }
        self.set_raw(group, key, &value)
    }

    /// Removes every line of a key and tells whether there was one.
    ///
    /// GLib removes only the last of repeated lines, so the earlier value comes back on reload.
    pub fn remove_key(&mut self, group: &str, key: &str) -> bool {
        let Some(group) = self.groups.iter_mut().find(|found| found.name == group) else {
            return false;
        };
        let before = group.lines.len();
        group.lines.retain(|line| !line.has_key(key));
        group.lines.len() < before
    }

    /// Removes a group with its keys and comments and tells whether it existed.
    pub fn remove_group(&mut self, group: &str) -> bool {
        let before = self.groups.len();
        self.groups.retain(|found| found.name != group);
        self.groups.len() < before
    }

    fn put(&mut self, group: &str, key: &str, value: String) {
        let Some(found) = self.groups.iter_mut().find(|found| found.name == group) else {
            let lines = vec![Line::Pair { key: key.to_owned(), value }];
            self.groups.push(Group { name: group.to_owned(), lines });
            return;
        };
        match found.lines.iter_mut().rev().find(|line| line.has_key(key)) {
            Some(line) => *line = Line::Pair { key: key.to_owned(), value },
            None => found.insert(key, value),
        }
    }
}

impl fmt::Display for KeyFile {
    /// Writes the bytes of `g_key_file_to_data`: groups are set apart by at least one empty line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        for text in &self.head {
            push_line(&mut out, &[text]);
        }
        for group in &self.groups {
            if out.len() >= 2 && out.as_bytes()[out.len() - 2] != b'\n' {
                out.push('\n');
            }
            push_line(&mut out, &["[", &group.name, "]"]);
            for line in &group.lines {
                match line {
                    Line::Pair { key, value } => push_line(&mut out, &[key, "=", value]),
                    Line::Text(text) => push_line(&mut out, &[text]),
                }
            }
        }
        f.write_str(&out)
    }
}

fn push_line(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
    out.push('\n');
}

fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}

fn misfit(group: &str, key: &str, value: &str, wanted: &str) -> KeyFileError {
    KeyFileError { line: 0, what: format!("[{group}] {key}={value:?} is not {wanted}") }
}

/// Refuses names that would not be read back as the same names.
fn check_names(group: &str, key: &str) -> Result<(), KeyFileError> {
    let fail = |what| Err(KeyFileError { line: 0, what });
    if !parse::is_group_name(group) {
        return fail(format!("invalid group name {group:?}"));
    }
    let ends_in_space = key.trim_matches(|c: char| c.is_ascii_whitespace()) != key;
    if !parse::is_key_name(key)
        || ends_in_space
        || key.starts_with('#')
        || key.contains(['\n', '\0'])
    {
        return fail(format!("invalid key name {key:?} in group {group:?}"));
    }
    Ok(())
}
