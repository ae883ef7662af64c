use std::collections::HashSet;

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_repo::Repo;

use crate::Result;

/// What a pull would bring over.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Commits, directories and directory metadata.
    pub metadata: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the files' content.
    pub bytes: u64,
}

/// Counts the objects of `commit` that `source` has and `dest` has not. A directory object that
/// is there is taken to have all below it, which a whole repository keeps true.
pub(crate) fn count(source: &Repo, dest: &Repo, commit: &Checksum) -> Result<Missing> {
    let mut missing = Missing::default();
    if dest.has_object(&ObjectName::new(*commit, ObjectType::Commit))? {
        return Ok(missing);
    }
    missing.metadata += 1;
    let root = source.load_commit(commit)?;
    let mut seen = HashSet::new();
    let mut pending = vec![(root.root_tree, root.root_meta)];
    while let Some((tree, meta)) = pending.pop() {
        if seen.insert(meta) && !dest.has_object(&ObjectName::new(meta, ObjectType::DirMeta))? {
            missing.metadata += 1;
        }
        if !seen.insert(tree) || dest.has_object(&ObjectName::new(tree, ObjectType::DirTree))? {
            continue;
        }
        missing.metadata += 1;
        let tree = source.load_dirtree(&tree)?;
        pending.extend(tree.dirs.iter().map(|dir| (dir.tree, dir.meta)));
        for file in &tree.files {
            let name = ObjectName::new(file.checksum, ObjectType::File);
            if seen.insert(file.checksum) && !dest.has_object(&name)? {
                missing.files += 1;
                missing.bytes += source.load_file(&file.checksum)?.size;
            }
        }
    }
    Ok(missing)
}
