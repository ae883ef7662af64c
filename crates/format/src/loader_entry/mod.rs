//! Boot loader specification entries (type 1) as libostree reads and writes them.

mod name;
#[cfg(test)]
mod tests;
mod version;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

pub use name::LoaderEntryName;

/// Fields libostree writes first, in this order; all others follow.
const KNOWN_FIELDS: [&str; 6] = ["title", "version", "options", "devicetree", "linux", "initrd"];

/// The fields of one entry below `/boot/loader/entries`.
///
/// Fields are held in the order they are written: the known ones as libostree orders them, then
/// all others in the order they were read or first set. libostree writes those others in the
/// order of a hash table; printing an entry it wrote still gives back the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderEntry {
    fields: Vec<(String, String)>,
    overlay_initrds: Vec<String>,
}

impl LoaderEntry {
    /// Reads an entry; like libostree it skips whatever does not look like a field.
    ///
    /// A field starts with an ASCII letter in the first column and ends at the first blank; the
    /// value is the rest of the line, verbatim. The last of repeated fields counts, except that
    /// every `initrd` after the first is an overlay. Takes time in proportion to the text, whose
    /// size the caller must bound.
    pub fn parse(text: &str) -> LoaderEntry {
        let mut entry = LoaderEntry::default();
        let mut seen = HashMap::new();
        for line in
            text.split('\n').filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            let Some((key, value)) = line.split_once([' ', '\t']) else { continue };
            match seen.get(key) {
                Some(_) if key == "initrd" => entry.overlay_initrds.push(value.to_owned()),
                Some(&at) => entry.fields[at] = (key.to_owned(), value.to_owned()),
                None => {
                    seen.insert(key, entry.fields.len());
                    entry.fields.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        entry.fields.sort_by_key(|(key, _)| rank(key));
        entry
    }

    /// Returns the value of a field; for `initrd` the primary one.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// Sets a field.
    ///
    /// Line breaks become spaces: a title taken from a tree must not add fields of its own
    /// (libostree writes them as they are). A key that does not start with an ASCII letter or
    /// that has a blank in it is written, but not read back.
    pub fn set(&mut self, key: &str, value: &str) {
        let (key, value) = (on_one_line(key), on_one_line(value));
        if let Some(field) = self.fields.iter_mut().find(|(found, _)| *found == key) {
            field.1 = value;
            return;
        }
        let at = self.fields.partition_point(|(found, _)| rank(found) <= rank(&key));
        self.fields.insert(at, (key, value));
    }

    /// Removes a field and tells whether it was there; removing `initrd` drops the overlays too.
    pub fn remove(&mut self, key: &str) -> bool {
        if key == "initrd" {
            self.overlay_initrds.clear();
        }
        let before = self.fields.len();
        self.fields.retain(|(found, _)| found != key);
        self.fields.len() < before
    }

    /// Returns the initrds to load after the primary one, in that order.
    pub fn overlay_initrds(&self) -> &[String] {
        &self.overlay_initrds
    }

    /// Replaces the overlay initrds, written as further `initrd` lines.
    ///
    /// They make sense only beside a primary `initrd`, which readers take from the first line.
    pub fn set_overlay_initrds<S: AsRef<str>>(&mut self, initrds: impl IntoIterator<Item = S>) {
        self.overlay_initrds = initrds.into_iter().map(|path| on_one_line(path.as_ref())).collect();
    }

    /// Iterates over all fields in the order they are written, without overlay initrds.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Iterates over the fields a deployment does not set anew by itself.
    ///
    /// libostree carries these over to a staged deployment (`bootconfig-extra`, since 2026.1).
    pub fn extra_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(key, _)| rank(key) == KNOWN_FIELDS.len())
    }

    /// Orders entries as libostree lists deployments: highest `version` first, compared like
    /// glibc's `strverscmp`, and entries without version last.
    pub fn compare_by_version(&self, other: &LoaderEntry) -> Ordering {
        match (self.get("version"), other.get("version")) {
            (Some(ours), Some(theirs)) => version::compare(theirs, ours),
            (ours, theirs) => theirs.is_some().cmp(&ours.is_some()),
        }
    }
}

impl fmt::Display for LoaderEntry {
    /// Writes the file libostree would write: key, one space, value, newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.fields.partition_point(|(key, _)| rank(key) < KNOWN_FIELDS.len());
        for (key, value) in &self.fields[..known] {
            writeln!(f, "{key} {value}")?;
        }
        for path in &self.overlay_initrds {
            writeln!(f, "initrd {path}")?;
        }
        for (key, value) in &self.fields[known..] {
            writeln!(f, "{key} {value}")?;
        }
        Ok(())
    }
}

fn rank(key: &str) -> usize {
    KNOWN_FIELDS.iter().position(|known| *known == key).unwrap_or(KNOWN_FIELDS.len())
}

fn on_one_line(text: &str) -> String {
    text.replace('\n', " ")
}
