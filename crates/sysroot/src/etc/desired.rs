use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, FileKind, Stat};

use super::Result;
use super::overlay::{Node, Overlay, View};
use super::scan::open;
use super::sides::{Found, Lookup, Source};

/// What the result has at a path.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Want<'p> {
    Absent,
    Default(Found),
    Copy {
        source: &'p Path,
        stat: &'p Stat,
        id: Option<Checksum>,
        may_equal_default: bool,
    },
    /// A directory with the attributes of the local `source`; over a default directory, whose
    /// entries show, or over nothing.
    Dir {
        source: &'p Path,
        before: &'p [PathBuf],
        over: Option<Found>,
    },
}

impl Want<'_> {
    pub(crate) fn is_dir(&self) -> bool {
        matches!(self, Want::Dir { .. } | Want::Default(Found::Dir(_)))
    }

    /// Whether the entries of the default directory show in it.
    pub(crate) fn shows_defaults(&self) -> bool {
        matches!(self, Want::Dir { over: Some(_), .. } | Want::Default(Found::Dir(_)))
    }
}

/// The result of a merge, asked path by path: the overlay over the new defaults.
#[derive(Debug)]
pub(crate) struct Desired<'a> {
    overlay: &'a Overlay,
    pub(crate) defaults: Lookup<'a>,
}

impl<'a> Desired<'a> {
    pub(crate) fn new(overlay: &'a Overlay, defaults: Source<'a>) -> Self {
        Desired { overlay, defaults: Lookup::new(defaults) }
    }

    pub(crate) fn at(&mut self, path: &Path) -> Result<Want<'a>> {
        Ok(match self.overlay.view(path) {
            View::Node(Node::Absent) | View::Hidden => Want::Absent,
            View::Node(Node::Copy { source, stat, id, may_equal_default }) => {
                Want::Copy { source, stat, id: *id, may_equal_default: *may_equal_default }
            }
            View::Node(Node::Dir { source, before, opaque }) => {
                let over = if *opaque { None } else { self.defaults.find(path)? };
                Want::Dir { source, before, over }
            }
            View::Default => match self.defaults.find(path)? {
                None => Want::Absent,
                Some(found) => Want::Default(found),
            },
        })
    }

    /// The names that may be in the directory `path`, with the type where it is at hand.
    pub(crate) fn names_in(
        &self,
        path: &Path,
        defaults: Option<&Dir>,
    ) -> Result<BTreeMap<OsString, Option<FileKind>>> {
        let mut names = BTreeMap::new();
        if let Some(usr_etc) = defaults {
            let entries = open(usr_etc, path)?.entries()?;
            names.extend(entries.into_iter().map(|entry| (entry.name, Some(entry.kind))));
        }
        for (child, _) in self.overlay.children(path) {
            if let Some(name) = child.file_name() {
                names.entry(name.to_os_string()).or_insert(None);
            }
        }
        Ok(names)
    }
}
