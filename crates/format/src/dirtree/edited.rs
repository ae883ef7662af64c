//! A directory of which few entries change.

use super::view::{DirTreeView, checksum_place, lower_bound};
use crate::checksum::Checksum;
use crate::error::Result;
use crate::gvariant::frame::{Elements, push_offsets};

/// A dirtree object that was checked, to be read in place and written anew with changes. The
/// default is the empty directory.
#[derive(Clone, Debug, Default)]
pub struct DirTreeBuf(Vec<u8>);

impl DirTreeBuf {
    /// Takes an object, checked as [`DirTreeView::parse`] does.
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        DirTreeView::parse(&bytes)?;
        Ok(DirTreeBuf(bytes))
    }

    /// Reads it in place. Costs nothing of what [`DirTreeBuf::new`] did.
    pub fn view(&self) -> DirTreeView<'_> {
        match self.0.is_empty() {
            true => DirTreeView::default(),
            false => DirTreeView::framed(&self.0).expect("it was framed when it was checked"),
        }
    }

    /// Returns the size of the object in bytes; 0 for the one of [`Default`], which is no object.
    pub fn size(&self) -> u64 {
        self.0.len() as u64
    }

    /// Serialises the directory with other entries: those with checksums are put in or replaced,
    /// the others are left out, whether they were there or not. Both lists ascend strictly by name;
    /// that no file has the name of a directory is for the caller to see to. What stays is copied
    /// in runs, so that few changes of many entries cost little more than the copy.
    pub fn edited<'n>(
        &self,
        files: impl Iterator<Item = (&'n str, Option<[Checksum; 1]>)>,
        dirs: impl Iterator<Item = (&'n str, Option<[Checksum; 2]>)>,
    ) -> Vec<u8> {
        let view = self.view();
        let mut buffer = Vec::with_capacity(self.0.len() + 1024);
        push_list(&mut buffer, &view.files, files);
        let start = buffer.len();
        push_list(&mut buffer, &view.dirs, dirs);
        push_offsets(&mut buffer, 0, [start].into_iter());
        buffer
    }

    /// As [`DirTreeBuf::edited`]. Where entries get other checksums and nothing else changes, no
    /// byte moves, and the object is not copied: the usual change, of the largest directories too.
    pub fn into_edited(
        mut self,
        files: &[(&str, Option<[Checksum; 1]>)],
        dirs: &[(&str, Option<[Checksum; 2]>)],
    ) -> Vec<u8> {
        let view = self.view();
        let places = replaced(&view.files, files).zip(replaced(&view.dirs, dirs));
        let Some((file_places, dir_places)) = places.filter(|_| !self.0.is_empty()) else {
            return self.edited(files.iter().copied(), dirs.iter().copied());
        };
        overwrite(&mut self.0, &file_places);
        overwrite(&mut self.0, &dir_places);
        self.0
    }
}

/// Where checksums stand that change, and the new ones; `None` where an entry comes or goes.
fn replaced<const N: usize>(
    old: &Elements<'_>,
    changes: &[(&str, Option<[Checksum; N]>)],
) -> Option<Vec<(usize, [Checksum; N])>> {
    let mut next = 0;
    let mut places = Vec::with_capacity(changes.len());
    for (name, change) in changes {
        let (at, found) = lower_bound::<N>(old, next, name);
        next = at + usize::from(found);
        match (found, change) {
            (true, Some(checksums)) => places.push((checksum_place::<N>(old, at), *checksums)),
            (false, None) => {}
            _ => return None,
        }
    }
    Some(places)
}

fn overwrite<const N: usize>(bytes: &mut [u8], places: &[(usize, [Checksum; N])]) {
    for (place, checksums) in places {
        for (checksum, old) in checksums.iter().zip(bytes[*place..].chunks_mut(Checksum::LEN)) {
            old.copy_from_slice(checksum.as_bytes());
        }
    }
}

/// Appends a list of entries and its table of offsets.
fn push_list<'n, const N: usize>(
    buffer: &mut Vec<u8>,
    old: &Elements<'_>,
    changes: impl Iterator<Item = (&'n str, Option<[Checksum; N]>)>,
) {
    let start = buffer.len();
    let mut ends = Vec::with_capacity(old.len() + 8);
    let mut next = 0;
    for (name, change) in changes {
        let (at, found) = lower_bound::<N>(old, next, name);
        push_run(buffer, &mut ends, old, next, at);
        next = at + usize::from(found);
        if let Some(checksums) = change {
            push_entry(buffer, name, &checksums);
            ends.push(buffer.len());
        }
    }
    push_run(buffer, &mut ends, old, next, old.len());
    push_offsets(buffer, start, ends.into_iter());
}

/// Appends the entries `from..to` as they are: an entry does not depend on where it stands.
fn push_run(
    buffer: &mut Vec<u8>,
    ends: &mut Vec<usize>,
    old: &Elements<'_>,
    from: usize,
    to: usize,
) {
    let (bytes, run) = old.run(from, to);
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    ends.extend(run.map(|end| start + end));
}

/// Appends a tuple of a name and checksums. The end of the last checksum needs no offset, the
/// other ends stand backwards.
fn push_entry<const N: usize>(buffer: &mut Vec<u8>, name: &str, checksums: &[Checksum; N]) {
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
