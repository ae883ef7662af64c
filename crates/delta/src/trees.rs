//! Directories told by their difference.
//!
//! Parts carry a directory object that changed as a whole, and of a very large directory that is
//! a checksum for each of its names: most of a delta for a few files. So the metadata of a
//! superblock may also say, under a key that libostree does not look at, how directories come
//! about from others that whoever applies the delta has. Who understands it needs no part that
//! makes nothing else.

use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::{Differing, DirTreeBuf, DirTreeView, Pair};
use trefoil_format::gvariant::{Type, Value};

use crate::{DeltaError, Result, Superblock};

/// Metadata key of an array of what [`PATCH`] describes.
const KEY: &str = "trefoil.dirtrees";
/// Checksum of the new dirtree, of the old one, names that are gone, entries that are new or
/// other ones as a dirtree.
const PATCH: &str = "(ayayayay)";

/// How a dirtree is made of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePatch {
    /// The dirtree that comes out.
    pub to: Checksum,
    /// The one it is made of.
    pub from: Checksum,
    /// Names of it that are gone, each with a NUL behind it.
    removed: Vec<u8>,
    /// A dirtree of the entries that are new, or others than there were under their name.
    changed: Vec<u8>,
}

impl TreePatch {
    /// Compares two dirtrees, of which these are the checksums. Costs a look at each entry.
    pub fn between<'a>(
        (from, old): (Checksum, &DirTreeView<'a>),
        (to, new): (Checksum, &DirTreeView<'a>),
    ) -> Self {
        let mut removed = Vec::new();
        let files = differences(old.differing_files(new), &mut removed);
        let dirs = differences(old.differing_dirs(new), &mut removed);
        let changed = DirTreeBuf::default().edited(files.into_iter(), dirs.into_iter());
        TreePatch { to, from, removed, changed }
    }

    /// How much it adds to a superblock, about, in bytes.
    pub fn size(&self) -> usize {
        2 * Checksum::LEN + self.removed.len() + self.changed.len()
    }

    /// Makes the new dirtree out of the bytes of the old one. What comes out is a dirtree, no
    /// longer than both together; whether it is the right one its checksum tells.
    ///
    /// # Errors
    /// Bytes that are no dirtree.
    pub fn apply(&self, old: Vec<u8>) -> Result<Vec<u8>> {
        let old = DirTreeBuf::new(old).map_err(DeltaError::format("dirtree"))?;
        let changed = DirTreeView::parse(&self.changed).map_err(DeltaError::format(KEY))?;
        let removed = std::str::from_utf8(&self.removed);
        let removed = removed.map_err(|_| DeltaError::invalid("name that is no text"))?;
        // A name may have been that of a file and be that of a directory, and the other way.
        let (mut files, mut dirs) = (BTreeMap::new(), BTreeMap::new());
        for name in removed.split_terminator('\0') {
            files.insert(name, None);
            dirs.insert(name, None);
        }
        for (name, checksum) in changed.files() {
            files.insert(name, Some([checksum]));
            dirs.insert(name, None);
        }
        for (name, tree, meta) in changed.dirs() {
            files.insert(name, None);
            dirs.insert(name, Some([tree, meta]));
        }
        let (files, dirs): (Vec<_>, Vec<_>) =
            (files.into_iter().collect(), dirs.into_iter().collect());
        Ok(old.into_edited(&files, &dirs))
    }

    fn to_value(&self) -> Value {
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        let (to, from) = (self.to.as_bytes(), self.from.as_bytes());
        Value::Tuple(vec![bytes(to), bytes(from), bytes(&self.removed), bytes(&self.changed)])
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::Tuple(members) = value else { return None };
        match &members[..] {
            [
                Value::Bytes(to),
                Value::Bytes(from),
                Value::Bytes(removed),
                Value::Bytes(changed),
            ] => Some(TreePatch {
                to: Checksum::from_slice(to).ok()?,
                from: Checksum::from_slice(from).ok()?,
                removed: removed.clone(),
                changed: changed.clone(),
            }),
            _ => None,
        }
    }
}

impl Superblock {
    /// What it says about directories. What makes no sense is left out: the parts make all
    /// objects without it.
    pub fn tree_patches(&self) -> impl Iterator<Item = TreePatch> {
        let patches = self.metadata.get(KEY).and_then(Value::as_array).unwrap_or_default();
        patches.iter().filter_map(TreePatch::from_value)
    }

    /// Says it. Every `to` has to be an object that a part makes.
    pub fn set_tree_patches<'p>(&mut self, patches: impl Iterator<Item = &'p TreePatch>) {
        let ty = Type::parse(PATCH).expect("the format string is a type");
        self.metadata.set(KEY, Value::Array(ty, patches.map(TreePatch::to_value).collect()));
    }
}

/// The entries of the new list that the old one does not have so; names that it has not at all
/// are added to `removed`.
fn differences<'a, const N: usize>(
    list: Differing<'a, N>,
    removed: &mut Vec<u8>,
) -> Vec<(&'a str, Option<[Checksum; N]>)> {
    let mut changed = Vec::new();
    for pair in list {
        match pair {
            Pair::Left((name, _)) => {
                removed.extend_from_slice(name.as_bytes());
                removed.push(0);
            }
            Pair::Both(_, (name, checksums)) | Pair::Right((name, checksums)) => {
                changed.push((name, Some(checksums)));
            }
        }
    }
    changed
}
