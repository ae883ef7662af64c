use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;

use super::index::{Relation, Stamp, below};

#[derive(Copy, Clone, Debug)]
pub(crate) struct DraftEntry {
    pub(crate) relation: Relation,
    pub(crate) id: Checksum,
    /// Missing until sealing for what was made or touched now.
    pub(crate) stamp: Option<Stamp>,
}

/// The index of the tree that is being made.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) entries: BTreeMap<PathBuf, DraftEntry>,
    pub(crate) gone: BTreeSet<PathBuf>,
    /// False where the result is of a kind that the index cannot describe.
    pub(crate) sound: bool,
}

impl Draft {
    pub(crate) fn drop_tree(&mut self, path: &Path) {
        let doomed: Vec<PathBuf> = below(&self.entries, path).map(|(p, _)| p.clone()).collect();
        for path in &doomed {
            self.entries.remove(path);
        }
        self.entries.remove(path);
    }

    pub(crate) fn note(&mut self, path: &Path, relation: Relation, id: Checksum) {
        let replaced = |above: &Path| {
            self.entries.get(above).is_some_and(|e| e.relation == Relation::Replaced)
        };
        if !path.ancestors().skip(1).any(replaced) {
            let entry = DraftEntry { relation, id, stamp: None };
            self.entries.insert(path.to_path_buf(), entry);
        }
        self.touch_parent(path);
    }

    /// An older tree may have described what is in a directory that a new default file makes
    /// a replacement.
    pub(crate) fn leave_replaced_undescribed(&mut self) {
        let replaced = self.entries.iter().filter(|(_, e)| e.relation == Relation::Replaced);
        let tops: Vec<(PathBuf, DraftEntry)> = replaced.map(|(p, e)| (p.clone(), *e)).collect();
        for (path, entry) in tops {
            self.drop_tree(&path);
            self.entries.insert(path, entry);
        }
    }

    /// The directory of `path` got another entry or lost one.
    pub(crate) fn touch_parent(&mut self, path: &Path) {
        if let Some(entry) = path.parent().and_then(|p| self.entries.get_mut(p)) {
            entry.stamp = None;
        }
    }
}
