use trefoil_format::checksum::Checksum;

use crate::traverse::{Depth, Reachable, Traversal};
use crate::{Repo, Result};

/// How much two commits have in common: what `ostree diff --stats` prints.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectsDiff {
    /// Objects of the first commit, itself included.
    pub old: u64,
    /// Objects of the second commit, itself included.
    pub new: u64,
    /// Objects both need.
    pub common: u64,
    /// Bytes that those occupy as files of the repository.
    pub common_size: u64,
}

/// Counts the objects of two commits, without their parents. Reads all directories of both.
pub fn diff_objects(repo: &Repo, old: &Checksum, new: &Checksum) -> Result<ObjectsDiff> {
    let (old, new) = (objects_of(repo, old)?, objects_of(repo, new)?);
    let mut out =
        ObjectsDiff { old: old.len() as u64, new: new.len() as u64, ..ObjectsDiff::default() };
    for name in old.names().filter(|name| new.contains(name)) {
        out.common += 1;
        out.common_size += size_in_chain(repo, &name)?;
    }
    Ok(out)
}

fn objects_of(repo: &Repo, commit: &Checksum) -> Result<Reachable> {
    let mut traversal = Traversal::new(repo);
    traversal.add(commit, Depth::Parents(0))?;
    Ok(traversal.into_reachable())
}

/// The size in the repository that has it; 0 where a partial commit lacks it.
fn size_in_chain(repo: &Repo, name: &trefoil_format::object::ObjectName) -> Result<u64> {
    let mut next = Some(repo);
    while let Some(repo) = next {
        if let Some(size) = repo.object_size(name)? {
            return Ok(size);
        }
        next = repo.parent();
    }
    Ok(0)
}
