use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;

/// A directory in a repository: what is in it, and what it is itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreeId {
    /// The dirtree object.
    pub tree: Checksum,
    /// The dirmeta object.
    pub meta: Checksum,
}

impl TreeId {
    /// The root directory of a commit.
    pub fn of_commit(commit: &Commit) -> Self {
        TreeId { tree: commit.root_tree, meta: commit.root_meta }
    }
}
