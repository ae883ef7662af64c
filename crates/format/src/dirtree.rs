//! Dirtree objects: the names in one directory.
//!
//! `(a(say)a(sayay))`: files with the checksum of their object, then directories with the
//! checksums of their dirtree and dirmeta. Both lists ascend by the bytes of the name.

use crate::checksum::Checksum;
use crate::error::{FormatError, Result};
use crate::gvariant::frame::{Elements, Fault, Members, Span, push_offsets, string_bytes};
use crate::name::{EntryName, check_entry_name, utf8_entry_name};

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
        let view = DirTreeView::parse(data)?;
        let files = view
            .files()
            .map(|(name, checksum)| Ok(FileEntry { name: EntryName::new(name)?, checksum }))
            .collect::<Result<_>>()?;
        let dirs = view
            .dirs()
            .map(|(name, tree, meta)| Ok(SubdirEntry { name: EntryName::new(name)?, tree, meta }))
            .collect::<Result<_>>()?;
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
        let mut buffer = Vec::with_capacity(self.files.len() * 64 + self.dirs.len() * 96);
        let mut ends = Vec::with_capacity(self.files.len().max(self.dirs.len()));
        for file in &self.files {
            write_entry(&mut buffer, &file.name, [&file.checksum]);
            ends.push(buffer.len());
        }
        push_offsets(&mut buffer, 0, ends.drain(..));
        let dirs = buffer.len();
        for dir in &self.dirs {
            write_entry(&mut buffer, &dir.name, [&dir.tree, &dir.meta]);
            ends.push(buffer.len());
        }
        push_offsets(&mut buffer, dirs, ends.drain(..));
        push_offsets(&mut buffer, 0, [dirs].into_iter());
        buffer
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

/// Appends a tuple of a name and checksums. The end of the last checksum needs no offset, the
/// other ends stand backwards.
fn write_entry<const N: usize>(buffer: &mut Vec<u8>, name: &str, checksums: [&Checksum; N]) {
    let start = buffer.len();
    buffer.extend_from_slice(name.as_bytes());
    buffer.push(0);
    let name_end = buffer.len();
    for checksum in checksums {
        buffer.extend_from_slice(checksum.as_bytes());
    }
    let ends = (0..N).rev().map(|before| name_end + before * Checksum::LEN);
    push_offsets(buffer, start, ends);
}

/// A dirtree read in place: no entry is copied or allocated.
#[derive(Clone, Copy, Debug)]
pub struct DirTreeView<'a> {
    files: Elements<'a>,
    dirs: Elements<'a>,
}

/// Name and checksums of one entry.
type Entry<'a, const N: usize> = (&'a str, [Checksum; N]);

impl<'a> DirTreeView<'a> {
    /// Checks all of `data`: normal form, names that are safe as one component of a path,
    /// checksums of 32 bytes, strictly ascending order in each list, no name in both.
    ///
    /// The last two go beyond libostree, whose writers never break them.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        let fault = |fault: Fault| fault.of(WHAT);
        let mut members = Members::new(Span::new(data), 1).map_err(fault)?;
        let files = members.framed(1).and_then(|span| Elements::new(span, 1)).map_err(fault)?;
        let dirs = members.last(1).and_then(|span| Elements::new(span, 1)).map_err(fault)?;
        check_list::<1>(files)?;
        check_list::<2>(dirs)?;
        let view = DirTreeView { files, dirs };
        match view.shared_name() {
            None => Ok(view),
            Some(name) => {
                Err(FormatError::invalid(WHAT, format!("{name} is both a file and a directory")))
            }
        }
    }

    /// Returns files and symbolic links in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&'a str, Checksum)> + use<'a> {
        let files = self.files;
        (0..files.len()).map(move |index| {
            let (name, [checksum]) = checked_entry(&files, index);
            (name, checksum)
        })
    }

    /// Returns directories in order: name, dirtree, dirmeta.
    pub fn dirs(&self) -> impl ExactSizeIterator<Item = (&'a str, Checksum, Checksum)> + use<'a> {
        let dirs = self.dirs;
        (0..dirs.len()).map(move |index| {
            let (name, [tree, meta]) = checked_entry(&dirs, index);
            (name, tree, meta)
        })
    }

    /// Finds a file by name, by binary search.
    pub fn find_file(&self, name: &str) -> Option<Checksum> {
        find(&self.files, name).map(|[checksum]| checksum)
    }

    /// Finds a directory by name, by binary search: dirtree, dirmeta.
    pub fn find_dir(&self, name: &str) -> Option<(Checksum, Checksum)> {
        find(&self.dirs, name).map(|[tree, meta]| (tree, meta))
    }

    /// Returns the number of entries of both kinds.
    pub fn len(&self) -> usize {
        self.files.len() + self.dirs.len()
    }

    /// Tells whether the directory is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shared_name(&self) -> Option<&'a str> {
        let mut files = self.files().map(|(name, _)| name).peekable();
        self.dirs().map(|(name, ..)| name).find(|dir| {
            while files.next_if(|file| file < dir).is_some() {}
            files.peek() == Some(dir)
        })
    }
}

fn check_list<const N: usize>(elements: Elements<'_>) -> Result<()> {
    let mut previous = "";
    for index in 0..elements.len() {
        let (name, _) = entry::<N>(&elements, index)?;
        check_entry_name(name)?;
        if name <= previous {
            let why = format!("{name} follows {previous}, but names must ascend");
            return Err(FormatError::invalid(WHAT, why));
        }
        previous = name;
    }
    Ok(())
}

/// Reads entry `index`: a name and `N` checksums.
fn entry<'a, const N: usize>(elements: &Elements<'a>, index: usize) -> Result<Entry<'a, N>> {
    let fault = |fault: Fault| fault.of(WHAT);
    let mut members = Members::new(elements.get(index).map_err(fault)?, N).map_err(fault)?;
    let name = members.framed(1).and_then(string_bytes).map_err(fault)?;
    let mut checksums = [Checksum::from_bytes([0; 32]); N];
    for checksum in &mut checksums[..N - 1] {
        *checksum = Checksum::from_slice(members.framed(1).map_err(fault)?.data)?;
    }
    checksums[N - 1] = Checksum::from_slice(members.last(1).map_err(fault)?.data)?;
    Ok((utf8_entry_name(name)?, checksums))
}

fn checked_entry<'a, const N: usize>(elements: &Elements<'a>, index: usize) -> Entry<'a, N> {
    entry(elements, index).expect("every entry was read when the view was made")
}

fn find<const N: usize>(elements: &Elements<'_>, wanted: &str) -> Option<[Checksum; N]> {
    let (mut low, mut high) = (0, elements.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let (name, checksums) = checked_entry::<N>(elements, middle);
        match name.cmp(wanted) {
            std::cmp::Ordering::Equal => return Some(checksums),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}
