use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_fsat::Stat;

use super::index::below;

/// What the result has instead of a new default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing.
    Absent,
    /// A copy of a local file or symbolic link.
    Copy {
        /// Where it lies in the local `etc`.
        source: PathBuf,
        stat: Stat,
        id: Option<Checksum>,
        /// The default here changed too: only a comparison tells whether the copy equals it.
        may_equal_default: bool,
    },
    /// A directory with the attributes of a local one.
    Dir {
        source: PathBuf,
        /// Local ones whose extended attributes it was given before, the last one first: links
        /// among the defaults lead the changes of several directories into this one.
        before: Vec<PathBuf>,
        /// It is new: of the defaults below, nothing shows.
        opaque: bool,
    },
}

/// What the overlay says of a path.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum View<'a> {
    /// The overlay has a node here.
    Node(&'a Node),
    /// Something above leaves no place for a default here.
    Hidden,
    /// The default shows, if there is one.
    Default,
}

/// The result of a merge as its difference from the new defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overlay {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Overlay {
    pub(crate) fn view(&self, path: &Path) -> View<'_> {
        if let Some(node) = self.nodes.get(path) {
            return View::Node(node);
        }
        for above in path.ancestors().skip(1) {
            match self.nodes.get(above) {
                Some(Node::Absent | Node::Copy { .. } | Node::Dir { opaque: true, .. }) => {
                    return View::Hidden;
                }
                // A directory that stands over a default: the default below shows.
                Some(Node::Dir { opaque: false, .. }) => return View::Default,
                None => {}
            }
        }
        View::Default
    }

    /// Puts a node; the ones below it stay.
    pub(crate) fn put(&mut self, path: PathBuf, node: Node) {
        self.nodes.insert(path, node);
    }

    /// Takes away the node at `path` and all below it.
    pub(crate) fn clear(&mut self, path: &Path) {
        let doomed: Vec<PathBuf> = below(&self.nodes, path).map(|(p, _)| p.clone()).collect();
        for path in &doomed {
            self.nodes.remove(path);
        }
        self.nodes.remove(path);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Node)> {
        self.nodes.iter()
    }

    /// Where the result has nothing though a default is there.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &PathBuf> {
        self.nodes.iter().filter(|(_, node)| **node == Node::Absent).map(|(path, _)| path)
    }

    /// The nodes directly in the directory `path`.
    pub(crate) fn children<'a>(
        &'a self,
        path: &'a Path,
    ) -> impl Iterator<Item = (&'a PathBuf, &'a Node)> {
        below(&self.nodes, path).filter(move |(p, _)| p.parent() == Some(path))
    }

    /// Replaces a directory node by the default it stands over.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.nodes.remove(path);
    }
}
