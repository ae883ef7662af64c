use trefoil_format::name::EntryName;
use trefoil_fsat::{Dir, FileKind};

use super::import::{Import, Named};
use super::modifier::TreePath;
use crate::checkout::{OPAQUE, WHITEOUT};
use crate::{MutableTree, RepoError, Result};

impl Import<'_> {
    /// Removes from `tree` what the whiteouts among `files` hide, before anything of this
    /// directory is laid over it, and gives the other files. As at checkout a symbolic link is
    /// no whiteout. The lists by path are not asked about whiteouts: these are not committed.
    pub(super) fn whiteouts(
        &self,
        dir: &Dir,
        files: Vec<Named>,
        tree: &mut MutableTree,
        path: &TreePath<'_>,
    ) -> Result<Vec<Named>> {
        let (hidden, files): (Vec<Named>, Vec<Named>) = files.into_iter().partition(|file| {
            file.kind == FileKind::Regular && file.name.as_str().starts_with(WHITEOUT)
        });
        for whiteout in hidden {
            let name = whiteout.name.as_str();
            if name == OPAQUE {
                tree.clear();
            } else {
                let target = &name[WHITEOUT.len()..];
                let target = EntryName::new(target).map_err(|_| {
                    RepoError::Refused(format!(
                        "Invalid whiteout '{}': it names nothing to hide",
                        path.child(name)
                    ))
                })?;
                tree.remove(self.transaction.repo(), &target)?;
            }
            self.discard(dir, name)?;
        }
        Ok(files)
    }
}
