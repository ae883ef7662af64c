//! Dirtree objects: the names in one directory.
//!
//! `(a(say)a(sayay))`: files with the checksum of their object, then directories with the
//! checksums of their dirtree and dirmeta. Both lists ascend by the bytes of the name.

use crate::checksum::Checksum;
use crate::error::Result;
use crate::name::EntryName;

mod differing;
mod edited;
mod view;

pub use differing::{Differing, Pair};
pub use edited::DirTreeBuf;
pub use view::DirTreeView;

const WHAT: &str = "dirtree";

/// A file or symbolic link in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name.
    pub name: EntryName,
    /// Checksum of the file object.
    pub checksum: Checksum,
}

/// A directory in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubdirEntry {
    /// Its name.
    pub name: EntryName,
    /// Checksum of the dirtree.
    pub tree: Checksum,
    /// Checksum of the dirmeta.
    pub meta: Checksum,
}

/// An owned dirtree. The lists are in order, see [`DirTree::sort`], and share no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirTree {
    /// Files and symbolic links.
    pub files: Vec<FileEntry>,
    /// Directories.
    pub dirs: Vec<SubdirEntry>,
}

impl DirTree {
    /// Reads and checks an object as [`DirTreeView::parse`] does.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        DirTreeView::read(
            data,
            |name, [checksum]| {
                files.push(FileEntry { name: EntryName::from_bytes(name)?, checksum });
                Ok(())
            },
            |name, [tree, meta]| {
                dirs.push(SubdirEntry { name: EntryName::from_bytes(name)?, tree, meta });
                Ok(())
            },
        )?;
        Ok(DirTree { files, dirs })
    }

    /// Puts both lists into the order of the format.
    pub fn sort(&mut self) {
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        self.dirs.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Serialises the tree, which must be in order.
    pub fn to_bytes(&self) -> Vec<u8> {
        debug_assert!(self.files.is_sorted_by(|a, b| a.name < b.name), "files ascend");
        debug_assert!(self.dirs.is_sorted_by(|a, b| a.name < b.name), "directories ascend");
        let files = self.files.iter().map(|f| (f.name.as_str(), Some([f.checksum])));
        let dirs = self.dirs.iter().map(|d| (d.name.as_str(), Some([d.tree, d.meta])));
        DirTreeBuf::default().edited(files, dirs)
    }

    /// Returns the checksum of the object.
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.to_bytes())
    }

    /// Tells whether the directory is empty.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dirs.is_empty()
    }
}
