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
    /// Bytes that all of it takes on the disk, in whole blocks.
    pub disk_bytes: u64,
}

/// Counts the objects of `commit` that `source` has and `dest` has not. A directory object that
/// is there is taken to have all below it, which a whole repository keeps true; where an
/// interrupted pull left some of the commit, every object is looked for.
pub(crate) fn count(source: &Repo, dest: &Repo, commit: &Checksum) -> Result<Missing> {
    let partial = dest.commit_state(commit)?.is_partial();
    let block = dest.dir().space()?.block_size.max(1);
    let mut count = Count { dest, block, seen: HashSet::new(), missing: Missing::default() };
    if !count.metadata(*commit, ObjectType::Commit)? && !partial {
        return Ok(count.missing);
    }
    let root = source.load_commit(commit)?;
    let mut pending = vec![(root.root_tree, root.root_meta)];
    while let Some((tree, meta)) = pending.pop() {
        count.metadata(meta, ObjectType::DirMeta)?;
        if count.seen.contains(&tree) {
            continue;
        }
        if !count.metadata(tree, ObjectType::DirTree)? && !partial {
            continue;
        }
        let tree = source.load_dirtree(&tree)?;
        pending.extend(tree.dirs.iter().map(|dir| (dir.tree, dir.meta)));
        for file in &tree.files {
            count.file(source, file.checksum)?;
        }
    }
    Ok(count.missing)
}

/// Each object counts once.
struct Count<'a> {
    dest: &'a Repo,
    block: u64,
    seen: HashSet<Checksum>,
    missing: Missing,
}

impl Count<'_> {
    /// Counts an object that takes one block; true where it was not seen before and is missing.
    fn metadata(&mut self, checksum: Checksum, kind: ObjectType) -> Result<bool> {
        if !self.is_missing(checksum, kind)? {
            return Ok(false);
        }
        self.missing.metadata += 1;
        self.missing.disk_bytes += self.block;
        Ok(true)
    }

    fn file(&mut self, source: &Repo, checksum: Checksum) -> Result<()> {
        if self.is_missing(checksum, ObjectType::File)? {
            let size = source.load_file(&checksum)?.size;
            self.missing.files += 1;
            self.missing.bytes += size;
            self.missing.disk_bytes += size.div_ceil(self.block) * self.block;
        }
        Ok(())
    }

    fn is_missing(&mut self, checksum: Checksum, kind: ObjectType) -> Result<bool> {
        Ok(self.seen.insert(checksum) && !self.dest.has_object(&ObjectName::new(checksum, kind))?)
    }
}
