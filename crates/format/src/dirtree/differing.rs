//! What differs between two directories.

use std::cmp::Ordering;

use super::view::{DirTreeView, checked_bytes, checked_parts};
use crate::checksum::Checksum;
use crate::gvariant::frame::Elements;

/// An entry of one or both of two directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair<T> {
    /// The old and the new entry of a name.
    Both(T, T),
    /// An entry of the old one alone.
    Left(T),
    /// An entry of the new one alone.
    Right(T),
}

impl<'a> DirTreeView<'a> {
    /// Returns the files, by name, that are not the same in `self` and `new`: pairs of a name and
    /// the checksum. What is the same costs one comparison of its bytes.
    pub fn differing_files(&self, new: &DirTreeView<'a>) -> Differing<'a, 1> {
        Differing { old: self.files, new: new.files, at: (0, 0) }
    }

    /// Returns the directories that are not the same, as [`DirTreeView::differing_files`] does:
    /// pairs of a name and the checksums of dirtree and dirmeta.
    pub fn differing_dirs(&self, new: &DirTreeView<'a>) -> Differing<'a, 2> {
        Differing { old: self.dirs, new: new.dirs, at: (0, 0) }
    }
}

/// Goes through two lists in step, see [`DirTreeView::differing_files`].
#[derive(Clone, Debug)]
pub struct Differing<'a, const N: usize> {
    old: Elements<'a>,
    new: Elements<'a>,
    at: (usize, usize),
}

impl<'a, const N: usize> Iterator for Differing<'a, N> {
    type Item = Pair<(&'a str, [Checksum; N])>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (left, right) = self.at;
            let old = (left < self.old.len()).then(|| checked_bytes(&self.old, left));
            let new = (right < self.new.len()).then(|| checked_bytes(&self.new, right));
            let pair = match (old, new) {
                (None, None) => return None,
                (Some(old), None) => Pair::Left(checked_parts(old)),
                (None, Some(new)) => Pair::Right(checked_parts(new)),
                (Some(old), Some(new)) if old == new => {
                    self.at = (left + 1, right + 1);
                    continue;
                }
                (Some(old), Some(new)) => in_order(checked_parts(old), checked_parts(new)),
            };
            self.at = match pair {
                Pair::Both(..) => (left + 1, right + 1),
                Pair::Left(_) => (left + 1, right),
                Pair::Right(_) => (left, right + 1),
            };
            return Some(pair);
        }
    }
}

fn in_order<'a, T>(old: (&'a str, T), new: (&'a str, T)) -> Pair<(&'a str, T)> {
    match old.0.cmp(new.0) {
        Ordering::Less => Pair::Left(old),
        Ordering::Equal => Pair::Both(old, new),
        Ordering::Greater => Pair::Right(new),
    }
}
