use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More paths than this are no longer told apart: looking at everything is cheaper than
/// remembering them.
const LIMIT: usize = 200_000;

/// What is known of one path at which something happened.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The name came, went or leads elsewhere, or a file was changed: all that is at and
    /// beneath the path is to be looked at. Without it, only the directory itself.
    pub beneath: bool,
    /// Content or metadata of what has the name changed, or may have. If that is a file, it
    /// changed under its other names as well, of which the kernel tells nothing. With `beneath`
    /// and of a directory: so may everything in it have been.
    pub written: bool,
    /// The name came, and led to a file that has others.
    pub linked: bool,
    /// The name came, and was gone before anybody could look how many the file has.
    pub unseen: bool,
    /// The name went by a rename to another one in the tree, which is told as `written`.
    pub moved_on: bool,
}

impl Change {
    /// All that is at and beneath a path.
    pub const NAME: Change =
        Change { beneath: true, written: false, linked: false, unseen: false, moved_on: false };
    /// The metadata of a directory.
    pub const ITSELF: Change = Change { beneath: false, written: true, ..Change::NAME };
}

/// Why paths alone do not tell what changed: everything has to be looked at.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// More happened than the kernel keeps.
    Overflow,
    /// Not every directory could be watched: the limit of inotify is reached.
    WatchLimit,
    /// Something happened at a place that could not be named.
    Unnamed,
    /// More paths changed than are remembered.
    TooMany,
}

impl Lost {
    /// The words for a message.
    pub const fn words(self) -> &'static str {
        match self {
            Lost::Overflow => "the kernel's queue of events overflowed",
            Lost::WatchLimit => "not every directory is watched, inotify's limit is reached",
            Lost::Unnamed => "something changed at a place that could not be named",
            Lost::TooMany => "too many paths changed",
        }
    }
}

/// Where a tree changed, by paths relative to its root; the root itself is the empty path.
///
/// Memory is bounded: beyond 200,000 paths it becomes [`Lost::TooMany`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    paths: BTreeMap<PathBuf, Change>,
    lost: Option<Lost>,
}

impl Changes {
    /// Nothing changed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.lost.is_none()
    }

    /// Why everything has to be looked at, where it has.
    pub fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// The paths, ascending; none where [`Changes::lost`] tells why.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = (&Path, Change)> {
        self.paths.iter().map(|(path, change)| (path.as_path(), *change))
    }

    /// What happened at `path` itself.
    pub fn get(&self, path: &Path) -> Option<Change> {
        self.paths.get(path).copied()
    }

    /// Adds what happened at `path`.
    pub fn tell(&mut self, path: PathBuf, change: Change) {
        if self.lost.is_some() {
            return;
        }
        let known = self.paths.entry(path).or_default();
        known.beneath |= change.beneath;
        known.written |= change.written;
        known.linked |= change.linked;
        known.unseen |= change.unseen;
        known.moved_on |= change.moved_on;
        if self.paths.len() > LIMIT {
            self.lose(Lost::TooMany);
        }
    }

    /// Gives up on paths.
    pub fn lose(&mut self, why: Lost) {
        self.paths.clear();
        self.lost.get_or_insert(why);
    }

    /// Adds what happened later.
    pub fn merge(&mut self, later: Changes) {
        if let Some(why) = later.lost {
            self.lose(why);
        }
        for (path, change) in later.paths {
            self.tell(path, change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that nothing is forgotten when changes meet, and that losing wins.
    #[test]
    fn changes_add_up() {
        let (name, written) = (Change::NAME, Change::ITSELF);
        let (mut one, mut two) = (Changes::new(), Changes::new());
        one.tell("a".into(), name);
        two.tell("a".into(), written);
        two.tell("b".into(), written);
        one.merge(two);
        let both = Change { written: true, ..Change::NAME };
        let told: Vec<_> = one.paths().collect();
        assert_eq!(told, [(Path::new("a"), both), (Path::new("b"), written)]);
        let mut lost = Changes::new();
        lost.lose(Lost::Overflow);
        one.merge(lost);
        one.tell("c".into(), name);
        assert_eq!((one.lost(), one.paths().len()), (Some(Lost::Overflow), 0));
    }

    /// Guards that memory is bounded.
    #[test]
    fn too_many_paths_are_no_paths() {
        let mut changes = Changes::new();
        for i in 0..=LIMIT {
            changes.tell(i.to_string().into(), Change::default());
        }
        assert_eq!((changes.lost(), changes.paths().len()), (Some(Lost::TooMany), 0));
    }
}
