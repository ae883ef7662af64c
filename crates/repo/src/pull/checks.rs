use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::name::RefName;
use trefoil_format::object::{ObjectName, ObjectType};

use super::{Outcome, PullError, PullOptions};
use crate::bindings::verify_bindings;
use crate::{CommitState, Repo, RepoError, Transaction};

/// A commit in the transaction or the repository.
pub(super) fn load_commit(txn: &Transaction<'_>, checksum: &Checksum) -> Outcome<Commit> {
    let bytes = txn.load_metadata(ObjectType::Commit, checksum)?;
    let name = ObjectName::new(*checksum, ObjectType::Commit);
    Ok(Commit::parse(&bytes).map_err(|source| RepoError::Corrupt { name, source })?)
}

/// Refuses a commit that was not made for the refs that lead to it or for the remote's
/// `collection`, or that is older than it may be.
pub(super) fn commit(
    dest: &Repo,
    options: &PullOptions,
    collection: Option<&str>,
    checksum: &Checksum,
    commit: &Commit,
    names: &[RefName],
    is_tip: bool,
) -> Outcome<()> {
    if options.verify_bindings {
        let binding = |source| PullError::Binding { commit: *checksum, source };
        if names.is_empty() {
            verify_bindings(commit, collection, None).map_err(binding)?;
        }
        for name in names {
            verify_bindings(commit, collection, Some(name.as_str())).map_err(binding)?;
        }
    }
    let mut floor: Vec<Checksum> = options.timestamp_check_from.into_iter().collect();
    if options.timestamp_check && is_tip {
        for name in names {
            floor.extend(dest.resolve_rev_opt(name.as_str())?);
        }
    }
    for old in floor {
        let old_time = dest.load_commit(&old)?.timestamp;
        if commit.timestamp < old_time {
            let (new, new_time) = (*checksum, commit.timestamp);
            return Err(PullError::Older { new, new_time, old, old_time });
        }
    }
    Ok(())
}

/// The root of a complete commit that is much like this one: what the refs that lead to it
/// point to so far, else its parent.
pub(super) fn base(
    dest: &Repo,
    options: &PullOptions,
    commit: &Commit,
    names: &[RefName],
) -> Outcome<Option<Checksum>> {
    let mut near = Vec::new();
    for name in names {
        near.extend(dest.resolve_refspec(&options.refspec(name.clone()), false)?);
    }
    near.extend(commit.parent);
    for checksum in near {
        let whole = dest.has_object(&ObjectName::new(checksum, ObjectType::Commit))?
            && dest.commit_state(&checksum)? == CommitState::Normal;
        if whole {
            return Ok(Some(dest.load_commit(&checksum)?.root_tree));
        }
    }
    Ok(None)
}
