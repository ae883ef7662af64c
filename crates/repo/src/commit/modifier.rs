use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use trefoil_format::checksum::{Checksum, Hasher};

use super::DevInoCache;
use crate::{RepoError, RepoMode, Result};

const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const EXECUTE_BITS: u32 = 0o111;
const WRITE_BITS: u32 = 0o222;
/// What canonical permissions keep of a mode.
const CANONICAL_BITS: u32 = 0o755;

/// What is changed or left out while a tree is imported; the options of `ostree commit`.
///
/// The default changes nothing. A repository in mode `bare-user-only` makes all permissions
/// canonical and drops attributes whatever is set here.
#[derive(Debug, Default)]
pub struct CommitModifier {
    /// `--owner-uid`.
    pub owner_uid: Option<u32>,
    /// `--owner-gid`.
    pub owner_gid: Option<u32>,
    /// `--no-xattrs`.
    pub skip_xattrs: bool,
    /// `--canonical-permissions`: owner 0:0, at most 0755, no attributes.
    pub canonical_permissions: bool,
    /// `--mode-ro-executables`: no write permission on executable files.
    pub mode_ro_executables: bool,
    /// `--consume`: delete what was imported, or move it into the repository where that gives
    /// the same object. What is deleted is gone even if the transaction is not committed.
    pub consume: bool,
    /// `--link-checkout-speedup`.
    pub devino: Option<Arc<DevInoCache>>,
    /// `--devino-canonical`: take a file found in `devino` as the object it is, whatever the
    /// other options say.
    pub devino_canonical: bool,
    /// `--whiteouts`: a file `.wh.NAME` in an imported directory removes NAME from what the
    /// trees before put there, `.wh..wh..opq` removes all of that, and neither is committed.
    pub whiteouts: bool,
    /// `--statoverride`.
    pub stat_overrides: StatOverrides,
    /// `--skip-list`.
    pub skip_list: SkipList,
}

/// Changes of permission bits by path (`--statoverride`).
///
/// An added mode works on the first object that has its path and is used up by it, as in
/// libostree; a directory meets it twice, first as an entry of its parent, so that on
/// directories other than the root it has no effect there and none here. A replaced mode works
/// always.
#[derive(Debug, Default)]
pub struct StatOverrides {
    added: HashMap<String, Once<u32>>,
    replaced: HashMap<String, u32>,
}

/// Paths that are left out, with all beneath them (`--skip-list`). Each works once, as in
/// libostree: a second tree that has the same path keeps it.
#[derive(Debug, Default)]
pub struct SkipList(HashMap<String, Once<()>>);

/// A value that is given out once.
#[derive(Debug, Default)]
struct Once<T> {
    value: T,
    used: AtomicBool,
}

fn afresh<T: Copy>(list: &HashMap<String, Once<T>>) -> HashMap<String, Once<T>> {
    list.iter().map(|(path, once)| (path.clone(), Once::new(once.value))).collect()
}

impl<T: Copy> Once<T> {
    fn new(value: T) -> Self {
        Once { value, used: AtomicBool::new(false) }
    }

    fn take(&self) -> Option<T> {
        (!self.used.swap(true, Relaxed)).then_some(self.value)
    }
}

fn unused<T>(map: &HashMap<String, Once<T>>) -> Vec<String> {
    let unused = map.iter().filter(|(_, once)| !once.used.load(Relaxed));
    let mut paths: Vec<String> = unused.map(|(path, _)| path.clone()).collect();
    paths.sort_unstable();
    paths
}

impl StatOverrides {
    /// Reads lines `MODE PATH` (bits to add, with or without a plus sign) and `=MODE PATH`
    /// (permission bits to set). MODE is decimal, or hexadecimal after `0x`; never octal, as in
    /// libostree. Empty lines are skipped, there are no comments.
    pub fn parse(text: &str) -> Result<Self> {
        let mut overrides = StatOverrides::default();
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let (word, path) = line.split_once(' ').ok_or_else(|| {
                RepoError::Refused(format!(
                    "Malformed statoverride file (no space found): '{line}'"
                ))
            })?;
            let number = word.strip_prefix('=').unwrap_or(word);
            let mode = parse_mode(number).ok_or_else(|| {
                RepoError::Refused(format!(
                    "Malformed statoverride file: '{number}' is no decimal number of at most 4095"
                ))
            })?;
            if word.starts_with('=') {
                overrides.replaced.insert(path.to_string(), mode);
            } else {
                overrides.added.insert(path.to_string(), Once::new(mode));
            }
        }
        Ok(overrides)
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.replaced.is_empty()
    }

    fn apply(&self, path: &str, mode: u32) -> u32 {
        if let Some(bits) = self.added.get(path).and_then(Once::take) {
            return mode | bits;
        }
        match self.replaced.get(path) {
            Some(bits) => mode & S_IFMT | bits,
            None => mode,
        }
    }
}

fn parse_mode(number: &str) -> Option<u32> {
    let number = number.strip_prefix('+').unwrap_or(number);
    let mode = match number.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    mode.ok().filter(|mode| *mode <= 0o7777)
}

impl SkipList {
    /// Reads one absolute path a line; empty lines are skipped, there are no comments.
    pub fn parse(text: &str) -> Self {
        let lines = text.split('\n').filter(|line| !line.is_empty());
        SkipList(lines.map(|line| (line.to_string(), Once::new(()))).collect())
    }
}

/// Owner and mode of one file or directory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl CommitModifier {
    /// The same with lists that nothing met yet: for one more import of the same tree.
    pub fn unused(&self) -> CommitModifier {
        CommitModifier {
            devino: self.devino.clone(),
            stat_overrides: StatOverrides {
                added: afresh(&self.stat_overrides.added),
                replaced: self.stat_overrides.replaced.clone(),
            },
            skip_list: SkipList(afresh(&self.skip_list.0)),
            ..*self
        }
    }

    /// The paths with an added mode that nothing in the trees had, sorted. A mode that is set
    /// with `=` is never reported, as in libostree.
    pub fn unmatched_overrides(&self) -> Vec<String> {
        unused(&self.stat_overrides.added)
    }

    /// The paths of the skip list that nothing in the trees had, sorted.
    pub fn unmatched_skips(&self) -> Vec<String> {
        unused(&self.skip_list.0)
    }

    /// Whether permissions are made canonical in a repository of this mode.
    pub(super) fn is_canonical(&self, mode: RepoMode) -> bool {
        self.canonical_permissions || mode == RepoMode::BareUserOnly
    }

    /// Whether attributes are dropped in a repository of this mode.
    pub(super) fn drops_xattrs(&self, mode: RepoMode) -> bool {
        self.skip_xattrs || self.is_canonical(mode)
    }

    /// Whether a tree of the repository can be taken over without looking into it.
    pub(super) fn keeps_trees(&self, mode: RepoMode) -> bool {
        self.keeps_headers(mode) && self.skip_list.0.is_empty()
    }

    /// Whether owner, mode and attributes of every object stay as they are.
    pub(super) fn keeps_headers(&self, mode: RepoMode) -> bool {
        self.owner_uid.is_none()
            && self.owner_gid.is_none()
            && !self.drops_xattrs(mode)
            && !self.mode_ro_executables
            && self.stat_overrides.is_empty()
    }

    /// Whether anything is told by path, which has to be asked for each one.
    pub(super) fn has_lists(&self) -> bool {
        !self.stat_overrides.is_empty() || !self.skip_list.0.is_empty()
    }

    /// Differs for modifiers that make different objects of the same tree.
    pub(super) fn fingerprint(&self, mode: RepoMode) -> Checksum {
        let mut hasher = Hasher::new();
        let bools = [
            self.is_canonical(mode),
            self.drops_xattrs(mode),
            self.mode_ro_executables,
            self.devino.is_some(),
            self.devino_canonical,
        ];
        hasher.update(&bools.map(u8::from));
        let mut lines = vec![format!("{:?} {:?}", self.owner_uid, self.owner_gid)];
        let overrides = &self.stat_overrides;
        lines.extend(overrides.added.iter().map(|(path, m)| format!("+{:o} {path}", m.value)));
        lines.extend(overrides.replaced.iter().map(|(path, m)| format!("={m:o} {path}")));
        lines.extend(self.skip_list.0.keys().map(|path| format!("-{path}")));
        lines.sort_unstable();
        for line in lines {
            hasher.update(line.as_bytes());
            hasher.update(&[0]);
        }
        hasher.finish()
    }

    /// What the object at `path` becomes, `None` where it is left out.
    pub(super) fn apply(
        &self,
        repo_mode: RepoMode,
        path: &TreePath<'_>,
        old: Attributes,
    ) -> Option<Attributes> {
        let mut new = Attributes {
            uid: self.owner_uid.unwrap_or(old.uid),
            gid: self.owner_gid.unwrap_or(old.gid),
            mode: old.mode,
        };
        let regular = old.mode & S_IFMT == S_IFREG;
        if self.mode_ro_executables && regular && old.mode & EXECUTE_BITS != 0 {
            new.mode &= !WRITE_BITS;
        }
        if !self.stat_overrides.is_empty() || !self.skip_list.0.is_empty() {
            let path = path.to_string();
            new.mode = self.stat_overrides.apply(&path, new.mode);
            if self.skip_list.0.get(&path).is_some_and(|skip| skip.take().is_some()) {
                return None;
            }
        }
        if self.is_canonical(repo_mode) {
            (new.uid, new.gid) = (0, 0);
            if new.mode & S_IFMT != S_IFLNK {
                new.mode &= S_IFMT | CANONICAL_BITS;
            }
        }
        Some(new)
    }
}

/// A path in the tree as a chain up to the root: its text is needed for few of them.
#[derive(Copy, Clone, Debug)]
pub(super) struct TreePath<'a> {
    above: Option<(&'a TreePath<'a>, &'a str)>,
    depth: usize,
}

impl<'a> TreePath<'a> {
    pub const ROOT: TreePath<'static> = TreePath { above: None, depth: 0 };

    pub fn child(&'a self, name: &'a str) -> TreePath<'a> {
        TreePath { above: Some((self, name)), depth: self.depth + 1 }
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    fn write_to(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((parent, name)) = self.above else { return Ok(()) };
        parent.write_to(f)?;
        write!(f, "/{name}")
    }
}

impl fmt::Display for TreePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.above.is_none() { f.write_str("/") } else { self.write_to(f) }
    }
}
