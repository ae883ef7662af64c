use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;
use trefoil_delta::{DeltaError, Limits, Part, PartHeader, Recipe, RecipeKind, Superblock};
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::error::FormatError;
use trefoil_format::object::{ObjectName, ObjectType};

use super::DeltaPlan;
use super::recipe::write_file;
use crate::{RepoError, Result, Transaction};

/// What applying a part did.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct PartOutcome {
    /// Objects the part makes.
    pub objects: u64,
    /// Those that were not there before.
    pub made: u64,
}

/// What the calling thread makes by itself, in bytes: threads would take longer to start.
pub(super) const ALONE: u64 = 1 << 20;

/// Makes the objects of a part that are not there, on all cores if they are large.
///
/// `bytes` must have the checksum in `header`; every object must come out with its own. What
/// was staged before an error under its true name is harmless, and goes with the transaction.
///
/// # Errors
/// A part that is broken, that makes something else or more than `header` says, or that needs
/// an object which is not there.
pub fn apply_part(
    txn: &Transaction<'_>,
    header: &PartHeader,
    bytes: &[u8],
    limits: &Limits,
) -> Result<PartOutcome> {
    let part = Part::open(header, bytes, limits)?;
    let (recipes, _) = part.recipes(&header.objects)?;
    check_sizes(header, &part, &recipes)?;
    let make = |recipe| Ok::<_, RepoError>(u64::from(apply(txn, &part, recipe, limits)?));
    let made = match header.usize <= ALONE {
        true => recipes.iter().map(make).sum::<Result<u64>>()?,
        false => recipes.par_iter().map(make).try_reduce(|| 0, |a, b| Ok(a + b))?,
    };
    Ok(PartOutcome { objects: recipes.len() as u64, made })
}

/// Makes the directories of a part that are not there out of others that are, as the superblock
/// says. False where that does not lead to each of them: then the part itself is needed.
///
/// What comes out must have its checksum, and is no more than `usize` of the part. A superblock
/// that says wrong costs time in proportion to that, and nothing else.
///
/// # Errors
/// Those of reading and writing objects.
pub fn patch_part(txn: &Transaction<'_>, plan: &DeltaPlan, index: usize) -> Result<bool> {
    let header = &plan.superblock.parts[index];
    let left = AtomicU64::new(header.usize);
    let patch = |name| patch_tree(txn, plan, name, &left);
    match header.usize <= ALONE {
        true => header.objects.iter().map(patch).try_fold(true, |all, made| Ok(all && made?)),
        false => {
            // One at a time: one directory may be larger than all others together.
            let objects = header.objects.par_iter().with_max_len(1);
            objects.map(patch).try_reduce(|| true, |a, b| Ok(a && b))
        }
    }
}

/// False where the dirtree does not come out. `left` is how many bytes may still be made.
fn patch_tree(
    txn: &Transaction<'_>,
    plan: &DeltaPlan,
    name: &ObjectName,
    left: &AtomicU64,
) -> Result<bool> {
    if txn.has_object(name)? {
        return Ok(true);
    }
    let patch = plan.patches.get(&name.checksum).filter(|_| name.kind == ObjectType::DirTree);
    let Some(patch) = patch else { return Ok(false) };
    let old = txn.load_metadata(ObjectType::DirTree, &patch.from)?;
    let Ok(new) = patch.apply(old) else { return Ok(false) };
    let take = |left: u64| left.checked_sub(new.len() as u64);
    if left.fetch_update(Relaxed, Relaxed, take).is_err() || Checksum::of(&new) != name.checksum {
        return Ok(false);
    }
    txn.write_metadata_as(name, &new)?;
    Ok(true)
}

/// Copies of what is there cost a part nothing, so a small one could fill the disk.
fn check_sizes(header: &PartHeader, part: &Part, recipes: &[Recipe]) -> Result<()> {
    let mut sum = 0_u64;
    for recipe in recipes {
        let size = match &recipe.kind {
            RecipeKind::Metadata(range) => range.len() as u64,
            RecipeKind::File { owner, xattrs, size, pieces } => {
                // libostree does not count the targets of symbolic links.
                if part.header(*owner, *xattrs, pieces)?.is_symlink() { 0 } else { *size }
            }
        };
        sum = sum.saturating_add(size);
    }
    if sum <= header.usize {
        return Ok(());
    }
    Err(DeltaError::Invalid(format!(
        "part makes {sum} bytes, its superblock says {}",
        header.usize
    ))
    .into())
}

/// False where the object was there.
fn apply(txn: &Transaction<'_>, part: &Part, recipe: &Recipe, limits: &Limits) -> Result<bool> {
    let name = recipe.name;
    if txn.has_object(&name)? {
        return Ok(false);
    }
    let actual = match &recipe.kind {
        RecipeKind::Metadata(range) => {
            let bytes = &part.payload()[range.clone()];
            let actual = Checksum::of(bytes);
            if actual == name.checksum {
                check_metadata(&name, bytes)?;
                txn.write_metadata_as(&name, bytes)?;
            }
            actual
        }
        RecipeKind::File { owner, xattrs, size, pieces } => {
            let header = part.header(*owner, *xattrs, pieces)?;
            write_file(txn, part, &header, *size, pieces, limits)?
        }
    };
    if actual == name.checksum {
        return Ok(true);
    }
    let kind = name.kind.suffix();
    Err(RepoError::ChecksumMismatch { kind, expected: name.checksum, actual })
}

fn check_metadata(name: &ObjectName, bytes: &[u8]) -> Result<()> {
    let checked: std::result::Result<(), FormatError> = match name.kind {
        ObjectType::DirTree => DirTreeView::parse(bytes).map(drop),
        ObjectType::DirMeta => DirMeta::parse(bytes).map(drop),
        ObjectType::Commit => Commit::parse(bytes).map(drop),
        _ => {
            let what = format!("{name} cannot be made by a delta");
            return Err(DeltaError::Invalid(what).into());
        }
    };
    checked.map_err(|source| RepoError::Corrupt { name: *name, source })
}

/// Writes the commit a delta leads to, and its detached metadata, unless it is there.
pub fn write_delta_commit(txn: &Transaction<'_>, superblock: &Superblock) -> Result<()> {
    let commit = superblock.commit()?;
    let name = ObjectName::new(superblock.name.to, ObjectType::Commit);
    if !txn.has_object(&name)? {
        txn.write_commit(&commit, superblock.detached().as_ref())?;
    }
    Ok(())
}
