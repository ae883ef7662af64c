use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::object::{ObjectName, ObjectType};

use crate::{Repo, RepoError, Result, TreeId};

/// What a path in a tree leads to.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum TreeEntry {
    /// A directory.
    Dir(TreeId),
    /// A file or symbolic link, by its file object.
    File(Checksum),
}

impl Repo {
    /// What `path` leads to in the tree `root`. `.`, `..` and doubled slashes are taken out by
    /// name alone, and symbolic links are not followed, as in libostree; `/` is the root.
    ///
    /// # Errors
    /// [`RepoError::PathNotFound`] where nothing has that name.
    pub fn lookup(&self, root: TreeId, path: &str) -> Result<TreeEntry> {
        let mut at = TreeEntry::Dir(root);
        for name in path_names(path) {
            let child = match at {
                TreeEntry::Dir(dir) => self.child(&dir, name)?,
                TreeEntry::File(_) => None,
            };
            at = child.ok_or_else(|| RepoError::PathNotFound { path: path.to_string() })?;
        }
        Ok(at)
    }

    fn child(&self, dir: &TreeId, name: &str) -> Result<Option<TreeEntry>> {
        let bytes = self.recent_dirtree(&dir.tree)?;
        Ok(entry_in(&parse_dirtree(&bytes, &dir.tree)?, name))
    }
}

/// How many dirtrees a repository keeps for look-ups by path.
const RECENT: usize = 32;

/// The dirtrees that look-ups by path went through last. A deploy looks up a dozen paths, all
/// through the same few directories. Objects never change under their name.
#[derive(Debug, Default)]
pub(crate) struct RecentDirtrees(Mutex<HashMap<Checksum, Arc<Vec<u8>>>>);

impl Repo {
    fn recent_dirtree(&self, checksum: &Checksum) -> Result<Arc<Vec<u8>>> {
        let recent = &self.recent_dirtrees().0;
        if let Some(bytes) = recent.lock().expect("no holder panics").get(checksum) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = Arc::new(self.load_metadata(ObjectType::DirTree, checksum)?);
        let mut recent = recent.lock().expect("no holder panics");
        if recent.len() >= RECENT {
            recent.clear();
        }
        recent.insert(*checksum, Arc::clone(&bytes));
        Ok(bytes)
    }
}

/// The components of `path` after `.` and `..` are resolved; none climbs above the root.
pub(crate) fn path_names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names
}

pub(crate) fn entry_in(tree: &DirTreeView<'_>, name: &str) -> Option<TreeEntry> {
    let file = tree.find_file(name).map(TreeEntry::File);
    file.or_else(|| tree.find_dir(name).map(|(tree, meta)| TreeEntry::Dir(TreeId { tree, meta })))
}

pub(crate) fn parse_dirtree<'b>(bytes: &'b [u8], checksum: &Checksum) -> Result<DirTreeView<'b>> {
    DirTreeView::parse(bytes).map_err(|source| RepoError::Corrupt {
        name: ObjectName::new(*checksum, ObjectType::DirTree),
        source,
    })
}
