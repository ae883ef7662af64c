//! A directory of which few entries change.

use super::view::{DirTreeView, lower_bound};
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
