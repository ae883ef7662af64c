//! Reading a dirtree in place.
//!
//! Directories of 15,000 names exist, and one is read and compared whenever anything in it
//! changes: what is done for each entry here is done 30,000 times for that one change. So an entry
//! is first looked at as every writer lays it out, as bytes; text is made of names that are asked
//! for, and the rules of framing are gone through one by one for what is not so, and tell why.

use super::WHAT;
use crate::checksum::Checksum;
use crate::error::{FormatError, Result};
use crate::gvariant::frame::{
    Elements, Fault, Members, Span, offset_width, read_offset, smallest_width, string_bytes,
};
use crate::name::{check_entry_name, utf8_entry_name};
use crate::object::MAX_NAME_LEN;

/// A dirtree read in place: no entry is copied or allocated. The default is the empty one.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirTreeView<'a> {
    pub(super) files: Elements<'a>,
    pub(super) dirs: Elements<'a>,
}

impl<'a> DirTreeView<'a> {
    /// Checks all of `data`: normal form, names that are safe as one component of a path,
    /// checksums of 32 bytes, strictly ascending order in each list, no name in both.
    ///
    /// The last two go beyond libostree, whose writers never break them.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        Self::read(data, |_, _| Ok(()), |_, _| Ok(()))
    }

    /// Checks all, and hands over every entry on the way; what was handed over counts only where
    /// no error comes back.
    pub(super) fn read(
        data: &'a [u8],
        file: impl FnMut(&'a [u8], [Checksum; 1]) -> Result<()>,
        dir: impl FnMut(&'a [u8], [Checksum; 2]) -> Result<()>,
    ) -> Result<Self> {
        let view = Self::framed(data)?;
        read_list(view.files, file)?;
        read_list(view.dirs, dir)?;
        match view.shared_name() {
            None => Ok(view),
            Some(name) => {
                Err(FormatError::invalid(WHAT, format!("{name} is both a file and a directory")))
            }
        }
    }

    /// Finds the two lists, and looks at no entry.
    pub(super) fn framed(data: &'a [u8]) -> Result<Self> {
        let fault = |fault: Fault| fault.of(WHAT);
        let mut members = Members::new(Span::new(data), 1).map_err(fault)?;
        let files = members.framed(1).and_then(|span| Elements::new(span, 1)).map_err(fault)?;
        let dirs = members.last(1).and_then(|span| Elements::new(span, 1)).map_err(fault)?;
        Ok(DirTreeView { files, dirs })
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

    /// Tells where in the object the checksums of files and of dirtrees begin, in order.
    pub fn checksum_places(&self) -> impl Iterator<Item = usize> + use<'a> {
        let (files, dirs) = (self.files, self.dirs);
        let files = (0..files.len()).map(move |index| checksum_place::<1>(&files, index));
        files.chain((0..dirs.len()).map(move |index| checksum_place::<2>(&dirs, index)))
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

    /// The shorter list is looked up in the longer: most directories are nearly all of one kind.
    fn shared_name(&self) -> Option<&'a str> {
        match self.files.len() < self.dirs.len() {
            true => self.files().map(|(name, _)| name).find(|name| self.find_dir(name).is_some()),
            false => self.dirs().map(|(name, ..)| name).find(|name| self.find_file(name).is_some()),
        }
    }
}

/// Checks a list, and hands over each name, which is UTF-8, and its checksums.
fn read_list<'a, const N: usize>(
    elements: Elements<'a>,
    mut each: impl FnMut(&'a [u8], [Checksum; N]) -> Result<()>,
) -> Result<()> {
    let mut previous: &[u8] = b"";
    for index in 0..elements.len() {
        let span = elements.get(index).map_err(|fault| fault.of(WHAT))?;
        let (name, checksums) = match usual_entry(span.data).filter(|(name, _)| is_usual(name)) {
            Some(entry) => entry,
            None => framed_entry(span)?,
        };
        if name <= previous {
            let [name, previous] = [name, previous].map(String::from_utf8_lossy);
            let why = format!("{name} follows {previous}, but names must ascend");
            return Err(FormatError::invalid(WHAT, why));
        }
        previous = name;
        each(name, checksums)?;
    }
    Ok(())
}

/// Splits an entry whose parts lie where the lengths of name and checksums put them.
pub(super) fn usual_entry<const N: usize>(data: &[u8]) -> Option<(&[u8], [Checksum; N])> {
    let width = offset_width(data.len());
    let body = data.len().checked_sub(N * width)?;
    let name_end = body.checked_sub(N * Checksum::LEN)?;
    let (nul, name) = data[..name_end].split_last()?;
    let mut usual = *nul == 0 && smallest_width(body, N) == width;
    let mut checksums = [Checksum::from_bytes([0; Checksum::LEN]); N];
    for (at, checksum) in checksums.iter_mut().enumerate() {
        let start = name_end + at * Checksum::LEN;
        // Offsets stand backwards: the last one is the end of the name.
        let offset = data.len() - (at + 1) * width;
        usual &= read_offset(&data[offset..offset + width]) == start;
        *checksum = Checksum::from_slice(&data[start..start + Checksum::LEN]).ok()?;
    }
    usual.then_some((name, checksums))
}

/// Tells whether a name is one that [`check_entry_name`] lets pass, for the most common sort.
fn is_usual(name: &[u8]) -> bool {
    let odd = |byte: u8| byte == 0 || byte == b'/' || !byte.is_ascii();
    // Without a way out of the loop it is done for many bytes at once.
    !name.iter().fold(false, |found, byte| found | odd(*byte))
        && name.len() <= MAX_NAME_LEN
        && !matches!(name, b"" | b"." | b"..")
}

/// Reads and checks an entry by all rules.
fn framed_entry<const N: usize>(span: Span<'_>) -> Result<(&[u8], [Checksum; N])> {
    let fault = |fault: Fault| fault.of(WHAT);
    let mut members = Members::new(span, N).map_err(fault)?;
    let name = members.framed(1).and_then(string_bytes).map_err(fault)?;
    let mut checksums = [Checksum::from_bytes([0; 32]); N];
    for checksum in &mut checksums[..N - 1] {
        *checksum = Checksum::from_slice(members.framed(1).map_err(fault)?.data)?;
    }
    checksums[N - 1] = Checksum::from_slice(members.last(1).map_err(fault)?.data)?;
    check_entry_name(utf8_entry_name(name)?)?;
    Ok((name, checksums))
}

/// The bytes of entry `index`, which must be below the length, of a list that was checked.
pub(super) fn checked_bytes<'a>(elements: &Elements<'a>, index: usize) -> &'a [u8] {
    elements.get(index).expect("every entry was read when the view was made").data
}

/// Name and checksums in the bytes of an entry that was checked.
pub(super) fn checked_parts<const N: usize>(data: &[u8]) -> (&str, [Checksum; N]) {
    let (name, checksums) = usual_entry(data).expect("there is one normal form");
    (utf8_entry_name(name).expect("every name was read when the view was made"), checksums)
}

fn checked_entry<'a, const N: usize>(
    elements: &Elements<'a>,
    index: usize,
) -> (&'a str, [Checksum; N]) {
    checked_parts(checked_bytes(elements, index))
}

pub(super) fn checksum_place<const N: usize>(elements: &Elements<'_>, index: usize) -> usize {
    let span = elements.get(index).expect("every entry was read when the view was made");
    span.base + checked_parts::<N>(span.data).0.len() + 1
}

fn find<const N: usize>(elements: &Elements<'_>, wanted: &str) -> Option<[Checksum; N]> {
    let (at, found) = lower_bound::<N>(elements, 0, wanted);
    found.then(|| checked_entry(elements, at).1)
}

/// The first entry from `low` on whose name is not below `wanted`, and whether it is that one.
pub(super) fn lower_bound<const N: usize>(
    elements: &Elements<'_>,
    low: usize,
    wanted: &str,
) -> (usize, bool) {
    let (mut low, mut high) = (low, elements.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match checked_entry::<N>(elements, middle).0.cmp(wanted) {
            std::cmp::Ordering::Equal => return (middle, true),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    (low, false)
}
