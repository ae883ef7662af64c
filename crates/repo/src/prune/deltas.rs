//! Static deltas lie in `deltas/XX/REST`, where XX and REST join to the base64 names of the
//! commit they start from, `-`, and the commit they lead to; or the latter alone.

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{FileKind, LockMode};

use crate::{Repo, Result};

/// A delta on disk: its directory and the commit it leads to.
struct StaticDelta {
    path: String,
    to: Checksum,
}

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

fn remove(repo: &Repo, goes: impl Fn(&StaticDelta) -> Result<bool>) -> Result<u64> {
    let mut removed = 0;
    for delta in list(repo)? {
        if goes(&delta)? {
            repo.dir().remove_all(&delta.path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// All deltas that have a superblock. Other names are left alone.
fn list(repo: &Repo) -> Result<Vec<StaticDelta>> {
    let mut deltas = Vec::new();
    let Some(top) = repo.dir().open_dir_opt("deltas")? else { return Ok(deltas) };
    for first in top.sorted_entries()? {
        let (Some(prefix), FileKind::Directory) = (first.name.to_str(), first.kind) else {
            continue;
        };
        let dir = top.open_dir(prefix)?;
        for second in dir.sorted_entries()? {
            let Some(rest) = second.name.to_str() else { continue };
            if second.kind != FileKind::Directory || !dir.exists(format!("{rest}/superblock"))? {
                continue;
            }
            let name = format!("{prefix}{rest}");
            let to = name.split_once('-').map_or(name.as_str(), |(_, to)| to);
            if let Ok(to) = Checksum::from_base64(to) {
                deltas.push(StaticDelta { path: format!("deltas/{prefix}/{rest}"), to });
            }
        }
    }
    Ok(deltas)
}
