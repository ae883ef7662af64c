//! File names of loader entries, with the boot counters they carry.

use std::fmt;

/// What the file name of an entry says: `ostree-N.conf`, before 2024.5 `ostree-N-STATEROOT.conf`,
/// each with boot counters `+LEFT` or `+LEFT-DONE` before the suffix if boots are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderEntryName {
    /// Place in the boot menu: the number of deployments for the default one, 1 for the last.
    pub index: u32,
    /// Stateroot of the deployment, in the naming before 2024.5.
    pub stateroot: Option<String>,
    /// Boots to try before the entry counts as bad; `None` when boots are not counted.
    pub tries_left: Option<u64>,
    /// Boots tried so far; `None` when the name has no such counter.
    pub tries_done: Option<u64>,
}

impl LoaderEntryName {
    /// Reads a file name without folder; `None` for names of another form.
    ///
    /// Stricter than libostree, which takes any `ostree-*.conf` for an entry of its own and
    /// ignores what follows a counter.
    pub fn parse(name: &str) -> Option<LoaderEntryName> {
        let stem = name.strip_prefix("ostree-")?.strip_suffix(".conf")?;
        let (stem, tries_left, tries_done) = split_counters(stem);
        let (index, stateroot) = match stem.split_once('-') {
            Some((_, "")) => return None,
            Some((index, stateroot)) => (index, Some(stateroot.to_owned())),
            None => (stem, None),
        };
        Some(LoaderEntryName { index: number(index)?, stateroot, tries_left, tries_done })
    }
}

impl fmt::Display for LoaderEntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ostree-{}", self.index)?;
        if let Some(stateroot) = &self.stateroot {
            write!(f, "-{stateroot}")?;
        }
        if let Some(left) = self.tries_left {
            write!(f, "+{left}")?;
            if let Some(done) = self.tries_done {
                write!(f, "-{done}")?;
            }
        }
        f.write_str(".conf")
    }
}

/// Splits off what follows the last `+`, if it is a counter; a stateroot may hold a plus too.
fn split_counters(stem: &str) -> (&str, Option<u64>, Option<u64>) {
    let plain = (stem, None, None);
    let Some((before, counters)) = stem.rsplit_once('+') else { return plain };
    match counters.split_once('-') {
        Some((left, done)) => match (number(left), number(done)) {
            (Some(left), Some(done)) => (before, Some(left), Some(done)),
            _ => plain,
        },
        None => number(counters).map_or(plain, |left| (before, Some(left), None)),
    }
}

/// Digits alone, where `parse` would take a sign too.
fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
