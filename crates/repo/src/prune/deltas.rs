//! Static deltas go with the commit they lead to.

use trefoil_delta::DeltaName;
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::LockMode;

use crate::delta::{list_deltas, remove_delta};
use crate::{Repo, Result};

/// Deletes the static deltas that lead to `commit` and gives their number. Takes the exclusive
/// repository lock.
pub fn prune_deltas_to(repo: &Repo, commit: &Checksum) -> Result<u64> {
    let _lock = repo.lock(LockMode::Exclusive)?;
    remove(repo, |delta| Ok(delta.to == *commit))
}

/// Deletes the static deltas that lead to a commit which does not exist.
pub(super) fn prune_orphans(repo: &Repo) -> Result<u64> {
    remove(repo, |delta| Ok(!repo.has_object(&ObjectName::new(delta.to, ObjectType::Commit))?))
}

fn remove(repo: &Repo, goes: impl Fn(&DeltaName) -> Result<bool>) -> Result<u64> {
    let mut removed = 0;
    for delta in list_deltas(repo)? {
        if goes(&delta)? {
            remove_delta(repo, &delta)?;
            removed += 1;
        }
    }
    Ok(removed)
}
