//! Paths inside the tree of a commit.

use trefoil_repo::{Repo, RepoError, TreeEntry, TreeId};

use crate::error::{CliError, Result};

/// The root directory of the commit that `rev` names.
pub fn root(repo: &Repo, rev: &str) -> Result<TreeId> {
    Ok(TreeId::of_commit(&repo.load_commit(&repo.resolve_rev(rev)?)?))
}

/// What `path` leads to, symbolic links not followed, with the errors of a file system.
pub fn lookup(repo: &Repo, root: TreeId, path: &str) -> Result<TreeEntry> {
    match repo.lookup(root, path) {
        Ok(entry) => Ok(entry),
        Err(RepoError::PathNotFound { .. }) => {
            Err(CliError::failed(match passes_file(repo, root, path)? {
                true => "Not a directory".to_string(),
                false => format!("No such file or directory: {}", absolute(path)),
            }))
        }
        Err(other) => Err(other.into()),
    }
}

/// Whether something that is no directory stands in the way of `path`.
fn passes_file(repo: &Repo, root: TreeId, path: &str) -> Result<bool> {
    let path = absolute(path);
    for (at, _) in path.match_indices('/').skip(1) {
        match repo.lookup(root, &path[..at]) {
            Ok(TreeEntry::Dir(_)) => {}
            Ok(TreeEntry::File(_)) => return Ok(true),
            Err(RepoError::PathNotFound { .. }) => return Ok(false),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(false)
}

/// `path` from the root, with `.` and `..` resolved by name alone, starting with `/`.
pub fn absolute(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    /// Guards that paths of the command line cannot climb out of the tree.
    #[test]
    fn paths_stay_inside() {
        assert_eq!(super::absolute("a/./b/../../../c"), "/c");
        assert_eq!(super::absolute("/"), "/");
    }
}
