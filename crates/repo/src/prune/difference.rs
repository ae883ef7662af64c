//! Deleting what only one old commit needed, without looking at every object.
//!
//! The old tree is walked beside the kept trees and only where it differs from each of them:
//! that gives the candidates at the cost of the difference. A candidate may still be needed at
//! another place of a kept commit (a file that moved, two equal files of which one changed).
//! This cannot be seen in the difference alone, so candidates are confirmed against the
//! directories of the kept commits, each read once and by several threads; no object is
//! listed, and files are neither opened nor looked up unless they are deleted.

use std::collections::BTreeSet;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::{DirTreeView, Pair};
use trefoil_format::object::ObjectType;
use trefoil_fsat::LockMode;

use super::{Doomed, delete_all, deletion_rank, deltas, ref_targets};
use crate::lookup::parse_dirtree;
use crate::traverse::{Depth, Reachable, Traversal, load_commit_opt};
use crate::{Repo, RepoError, Result};

/// What [`prune_difference`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DifferencePrune {
    /// The objects that were deleted.
    pub deleted: Vec<Doomed>,
    /// Objects at places where the old tree differs that a kept commit needs elsewhere.
    pub needed_elsewhere: u64,
    /// Directories of the old tree that were read, the rest being equal to a kept one.
    pub dirtrees_differing: u64,
}

/// Deletes the commit `old` and the objects that only it needed. Kept whole are the commits in
/// `kept` and every commit a ref points to; histories are not followed, as where libostree
/// prunes a sysroot. Takes the exclusive repository lock.
///
/// Nothing happens where `old` is itself to be kept or does not exist. Any other commit in the
/// repository may be left without objects it shares with `old`: the caller names all that
/// matter.
///
/// # Errors
/// A kept commit that is missing or broken: then nothing is deleted.
pub fn prune_difference(repo: &Repo, old: &Checksum, kept: &[Checksum]) -> Result<DifferencePrune> {
    let _lock = repo.lock(LockMode::Exclusive)?;
    let mut roots: BTreeSet<Checksum> = ref_targets(repo)?;
    roots.extend(kept);
    let mut outcome = DifferencePrune::default();
    if roots.contains(old) {
        return Ok(outcome);
    }
    let Some(commit) = load_commit_opt(repo, old)? else { return Ok(outcome) };
    let mut trees = Vec::new();
    for root in &roots {
        trees.push(repo.load_commit(root)?.root_tree);
    }
    let mut found = Reachable::default();
    found.commits.insert(*old);
    found.dirmetas.insert(commit.root_meta);
    collect(repo, commit.root_tree, &trees, &mut found)?;
    outcome.dirtrees_differing = found.dirtrees.len() as u64;
    outcome.deleted = confirm(repo, &found, &roots)?;
    outcome.needed_elsewhere = found.len() as u64 - outcome.deleted.len() as u64;
    delete_all(repo, &outcome.deleted)?;
    deltas::prune_orphans(repo)?;
    Ok(outcome)
}

/// Adds the directory `old` and what is below it, as far as no directory in `beside`, which
/// are those of the kept commits at the same path, is equal.
fn collect(repo: &Repo, old: Checksum, beside: &[Checksum], found: &mut Reachable) -> Result<()> {
    if beside.contains(&old) || !found.dirtrees.insert(old) {
        return Ok(());
    }
    let Some(bytes) = load_tree_opt(repo, &old)? else { return Ok(()) };
    let tree = parse_dirtree(&bytes, &old)?;
    let mut kept = Vec::new();
    for checksum in beside {
        kept.extend(load_tree_opt(repo, checksum)?.map(|bytes| (bytes, checksum)));
    }
    let kept: Vec<DirTreeView<'_>> =
        kept.iter().map(|(bytes, c)| parse_dirtree(bytes, c)).collect::<Result<_>>()?;
    // Most of what differs from none of them is left out by the first.
    let (first, rest) = match kept.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (DirTreeView::default(), &[][..]),
    };
    for pair in first.differing_files(&tree) {
        if let Pair::Both(_, (name, [file])) | Pair::Right((name, [file])) = pair
            && !rest.iter().any(|other| other.find_file(name) == Some(file))
        {
            found.files.insert(file);
        }
    }
    for pair in first.differing_dirs(&tree) {
        let (Pair::Both(_, (name, [dir, meta])) | Pair::Right((name, [dir, meta]))) = pair else {
            continue;
        };
        let at: Vec<_> = kept.iter().filter_map(|other| other.find_dir(name)).collect();
        if !at.iter().any(|(_, kept)| *kept == meta) {
            found.dirmetas.insert(meta);
        }
        let below: Vec<Checksum> = at.into_iter().map(|(tree, _)| tree).collect();
        collect(repo, dir, &below, found)?;
    }
    Ok(())
}

/// A directory of the old tree that an interrupted prune took already is not there; a later
/// full prune finds what was below it alone. A kept commit lacks one only if it is partial.
fn load_tree_opt(repo: &Repo, checksum: &Checksum) -> Result<Option<Vec<u8>>> {
    match repo.load_metadata(ObjectType::DirTree, checksum) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(RepoError::ObjectMissing { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Of the candidates those that no kept commit needs anywhere and that exist.
fn confirm(repo: &Repo, found: &Reachable, roots: &BTreeSet<Checksum>) -> Result<Vec<Doomed>> {
    let mut traversal = Traversal::new(repo);
    for root in roots {
        traversal.add(root, Depth::Parents(0))?;
    }
    let needed = traversal.reachable();
    let mut doomed = Vec::new();
    for name in found.names().filter(|name| !needed.contains(name)) {
        if let Some(size) = repo.object_size(&name)? {
            doomed.push(Doomed { name, size });
        }
    }
    doomed.sort_by_key(|d| (deletion_rank(d.name.kind), d.name.checksum));
    Ok(doomed)
}
