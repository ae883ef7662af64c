//! Pointing an existing ref at another commit.

use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;

use crate::{Repo, RepoError, Result};

/// Points the ref `name`, which must exist, at the commit `target` means, as `ostree reset`
/// does, and gives that commit.
///
/// # Errors
/// No such ref, no such revision.
pub fn reset(repo: &Repo, name: &str, target: &str) -> Result<Checksum> {
    let (refspec, commit) = plan_reset(repo, name, target)?;
    let txn = repo.begin()?;
    txn.set_ref(refspec, Some(commit));
    txn.commit()?;
    Ok(commit)
}

/// Tells which ref [`reset`] would point at which commit.
///
/// # Errors
/// As of [`reset`].
pub fn plan_reset(repo: &Repo, name: &str, target: &str) -> Result<(Refspec, Checksum)> {
    let invalid = |_| RepoError::Refused(format!("Invalid ref '{name}'"));
    let refspec = Refspec::parse(name).map_err(invalid)?;
    if !repo.list_refs(None)?.contains_key(&refspec) {
        return Err(RepoError::Refused(format!("Invalid ref '{name}'")));
    }
    Ok((refspec, repo.resolve_rev(target)?))
}
