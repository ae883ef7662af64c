use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
/// Threads for each core that look at directories.
const WAITING: usize = 2;

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
    let chunks: Vec<_> = dirs.chunks(CHUNK).collect();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    first_of(&chunks, cores * WAITING, |chunk| {
        chunk.iter().map(check).find(|c| !matches!(c, Ok(None))).unwrap_or(Ok(None))
    })
}

/// The first that `look` finds in the items, which up to `threads` threads look at. They are not
/// the pool's, which are as many as there are cores: after a boot nothing is cached, and most of
/// the time goes into waiting for the disk.
fn first_of<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    look: impl Fn(&T) -> Result<Option<R>> + Sync,
) -> Result<Option<R>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        loop {
            let at = next.fetch_add(1, Relaxed);
            let Some(item) = items.get(at) else { return };
            let result = look(item);
            if !matches!(result, Ok(None)) {
                // None of the items behind it matters any more; those before it are under way.
                next.store(items.len(), Relaxed);
                let mut found = found.lock().expect("no holder panics");
                if found.as_ref().is_none_or(|(first, _)| at < *first) {
                    *found = Some((at, result));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().expect("no holder panics").map_or(Ok(None), |(_, result)| result)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SysrootError;

    /// Guards that no directory is left out by several threads, and that it is the first of what
    /// they find that is told, an error too.
    #[test]
    fn the_first_is_found() {
        let items: Vec<usize> = (0..300).collect();
        for threads in [1, 4] {
            for first in [0, 1, 150, 298, 299] {
                let looked = Mutex::new(Vec::new());
                let look = |item: &usize| {
                    looked.lock().expect("no holder panics").push(*item);
                    Ok((*item >= first).then_some(*item))
                };
                assert_eq!(first_of(&items, threads, look).expect("nothing fails"), Some(first));
                let mut looked = looked.into_inner().expect("no holder panics");
                looked.sort_unstable();
                assert!(looked.starts_with(&items[..=first]), "none twice, none left out");
            }
            assert_eq!(first_of(&items, threads, |_| Ok(None::<usize>)).expect("nothing"), None);
            let fail = |item: &usize| match *item {
                7 => Err(SysrootError::Refused("seven".into())),
                _ => Ok((*item > 7).then_some(*item)),
            };
            assert!(first_of(&items, threads, fail).is_err(), "what fails first is told");
        }
    }
}
