use rayon::prelude::*;
use trefoil_format::object::ObjectType;
use trefoil_fsat::{Dir, FileKind};
use trefoil_repo::TreeId;
use trefoil_repo::checkout::{CheckoutOptions, verify_checkout};

use super::Trust;
use super::seal::{DirSeal, Seal};
use super::store::{Sealed, Store};
use crate::{Result, Sysroot};

/// What of a deployment is not its commit's: `etc` is the administrator's, `var` is a mount
/// point.
pub(super) const NOT_SEALED: [&str; 2] = ["etc", "var"];

/// Below this many directories one thread is as fast.
const CHUNK: usize = 512;

/// Whether a path below a deployment's root is under seal.
pub(super) fn is_sealed(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or("");
    !path.is_empty() && !NOT_SEALED.contains(&first)
}

/// Checks a spare by the policy. Gives why it cannot be trusted, or `None`.
pub(super) fn distrust(
    sysroot: &Sysroot,
    store: &Store,
    spare: &Sealed,
    trust: Trust,
) -> Result<Option<String>> {
    let tree = store.dir().open_dir(&spare.name)?;
    if tree.stat_self()?.ino != spare.ino {
        return Ok(Some("its root directory was replaced".into()));
    }
    if trust == Trust::None {
        return Ok(None);
    }
    let seal = match store.spare_seal().load(&spare.commit)? {
        Ok(seal) => seal,
        Err(reason) => return Ok(Some(reason)),
    };
    if let Some(reason) = changed_dir(&tree, &seal)? {
        return Ok(Some(reason));
    }
    let commit = sysroot.repo().load_commit(&spare.commit)?;
    let root = TreeId::of_commit(&commit);
    if trust == Trust::Full {
        let options = deployment_checkout();
        return Ok(verify_checkout(sysroot.repo(), &options, &tree, root, &NOT_SEALED)?);
    }
    changed_root(sysroot, &tree, root)
}

/// How a deployment's tree is checked out.
pub(super) fn deployment_checkout() -> CheckoutOptions {
    CheckoutOptions { passthrough_whiteouts: true, ..CheckoutOptions::default() }
}

/// The first sealed directory that is not as it was.
fn changed_dir(tree: &Dir, seal: &Seal) -> Result<Option<String>> {
    let dirs: Vec<_> = seal.iter().collect();
    let check = |(path, sealed): &(&str, &DirSeal)| -> Result<Option<String>> {
        let Some(stat) = tree.stat_opt(path)? else {
            return Ok(Some(format!("/{path} is gone")));
        };
        let same = stat.is_dir() && DirSeal::from(&stat) == **sealed;
        Ok((!same).then(|| format!("/{path} changed since it was sealed")))
    };
    dirs.par_chunks(CHUNK)
        .map(|chunk| chunk.iter().map(check).find(|c| !matches!(c, Ok(None))).unwrap_or(Ok(None)))
        .find_first(|found| !matches!(found, Ok(None)))
        .unwrap_or(Ok(None))
}

/// The root directory cannot be sealed, since renaming a tree moves its change time. It has
/// few entries: they are compared with the commit's by name and type.
fn changed_root(sysroot: &Sysroot, tree: &Dir, root: TreeId) -> Result<Option<String>> {
    let bytes = sysroot.repo().load_metadata(ObjectType::DirTree, &root.tree)?;
    let expected = trefoil_format::dirtree::DirTree::parse(&bytes).map_err(|source| {
        trefoil_repo::RepoError::format("the root directory of the spare's commit", source)
    })?;
    let mut names = 0;
    for entry in tree.entries()? {
        let name = entry.name.to_string_lossy();
        if NOT_SEALED.contains(&&*name) {
            continue;
        }
        names += 1;
        let is_dir = entry.kind == FileKind::Directory;
        let known = match is_dir {
            true => expected.dirs.iter().any(|d| d.name.as_str() == name),
            false => expected.files.iter().any(|f| f.name.as_str() == name),
        };
        if !known {
            return Ok(Some(format!("/{name} was added or replaced")));
        }
    }
    let sealed = |name: &str| !NOT_SEALED.contains(&name);
    let wanted = expected.dirs.iter().filter(|d| sealed(d.name.as_str())).count()
        + expected.files.iter().filter(|f| sealed(f.name.as_str())).count();
    Ok((names != wanted).then(|| "an entry of its root directory is gone".to_string()))
}
