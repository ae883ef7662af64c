//! What a commit would be.

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

use crate::diff::{ChangeKind, diff_trees_in};
use crate::{CommitState, Result, Transaction, TransactionStats, TreeId};

/// A commit that is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPlan {
    /// Its root directory.
    pub tree: TreeId,
    /// The commit before.
    pub parent: Option<Checksum>,
    /// What differs from the tree of the one before; `None` where there is none, or where it is
    /// not here in full.
    pub changes: Option<TreeChanges>,
    /// The objects, counted as the transaction counts what it wrote.
    pub stats: TransactionStats,
}

/// How many entries of two trees differ. A directory that comes or goes is one, whatever is in
/// it; the root counts where its metadata changed.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeChanges {
    /// Only in the new tree.
    pub added: u64,
    /// Only in the old tree.
    pub removed: u64,
    /// In both, and not the same.
    pub changed: u64,
}

impl TreeChanges {
    /// Whether the trees are the same.
    pub fn is_empty(&self) -> bool {
        *self == TreeChanges::default()
    }

    fn count(&mut self, kind: &ChangeKind) {
        match kind {
            ChangeKind::FileAdded { .. } | ChangeKind::DirAdded { .. } => self.added += 1,
            ChangeKind::FileRemoved { .. } | ChangeKind::DirRemoved { .. } => self.removed += 1,
            ChangeKind::FileChanged { .. }
            | ChangeKind::DirMetaChanged { .. }
            | ChangeKind::FileToDir { .. }
            | ChangeKind::DirToFile { .. } => self.changed += 1,
        }
    }
}

/// Tells what a commit of `tree`, which is in the transaction, after `parent` would be. Reads the
/// directories that differ. With a transaction of [`Repo::rehearse`](crate::Repo::rehearse)
/// nothing is written.
///
/// # Errors
/// A directory that is missing or broken.
pub fn plan_commit(
    transaction: &Transaction<'_>,
    tree: TreeId,
    parent: Option<Checksum>,
) -> Result<CommitPlan> {
    let changes = match parent {
        Some(parent) => changes(transaction, &parent, tree)?,
        None => None,
    };
    Ok(CommitPlan { tree, parent, changes, stats: transaction.stats() })
}

fn changes(
    transaction: &Transaction<'_>,
    parent: &Checksum,
    tree: TreeId,
) -> Result<Option<TreeChanges>> {
    let repo = transaction.repo();
    // As in libostree, a parent may be named that is not here.
    if !repo.has_object(&ObjectName::new(*parent, ObjectType::Commit))?
        || repo.commit_state(parent)? != CommitState::Normal
    {
        return Ok(None);
    }
    let old = TreeId::of_commit(&repo.load_commit(parent)?);
    let mut changes = TreeChanges::default();
    diff_trees_in(transaction, old, tree, &mut |change| changes.count(&change.kind))?;
    Ok(Some(changes))
}
