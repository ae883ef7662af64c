use trefoil_delta::{DeltaError, Limits, Superblock};
use trefoil_fsat::Dir;

use super::apply::ALONE;
use super::signature::{self, DeltaKeys};
use super::store::SUPERBLOCK_LIMIT;
use super::{DeltaPlan, apply_part, patch_part, plan_delta, write_delta_commit};
use crate::{Repo, RepoError, Result, Transaction};

/// Applies the delta in the file `file` of `dir`, whose parts lie beside it or in it, and
/// gives its superblock. One transaction; no ref moves.
///
/// Without `keys` signatures count for nothing, unless the repository wants them checked
/// (`core.sign-verify-deltas`). They are checked before anything else of the delta is used.
///
/// # Errors
/// A signature is wanted and is not there or does not hold. As [`plan_delta`] and [`apply_part`]; a delta with fallback objects.
pub fn apply_offline(
    repo: &Repo,
    dir: &Dir,
    file: &str,
    keys: Option<DeltaKeys<'_>>,
    limits: &Limits,
) -> Result<Superblock> {
    let superblock = checked(repo, dir, file, keys)?;
    let txn = repo.begin()?;
    let plan = plan(&txn, superblock)?;
    let patch = || apply_patched(&txn, &plan, dir, limits);
    let apply = || apply_parts(&txn, &plan, &plan.parts, dir, limits);
    let needed = plan.parts.iter().chain(&plan.patched);
    let sizes = needed.map(|index| plan.superblock.parts[*index].usize);
    if sizes.fold(0, u64::saturating_add) <= ALONE {
        patch()?;
        apply()?;
    } else {
        let (patched, applied) = rayon::join(patch, apply);
        patched.and(applied)?;
    }
    write_delta_commit(&txn, &plan.superblock)?;
    txn.commit()?;
    Ok(plan.superblock)
}

/// Tells what [`apply_offline`] would do, and writes nothing. The parts are not read: they may
/// be missing or broken.
///
/// # Errors
/// Those of [`apply_offline`] that come up before its first part.
pub fn plan_offline(
    repo: &Repo,
    dir: &Dir,
    file: &str,
    keys: Option<DeltaKeys<'_>>,
) -> Result<DeltaPlan> {
    plan(&repo.rehearse(), checked(repo, dir, file, keys)?)
}

fn checked(repo: &Repo, dir: &Dir, file: &str, keys: Option<DeltaKeys<'_>>) -> Result<Superblock> {
    let bytes = dir.read(file, SUPERBLOCK_LIMIT)?;
    let signed = signature::read_signed(&bytes)?;
    signature::check(repo, signed.as_ref(), keys)?;
    Ok(Superblock::parse(signed.as_ref().map_or(&bytes, |s| &s.superblock))?)
}

fn plan(txn: &Transaction<'_>, superblock: Superblock) -> Result<DeltaPlan> {
    let plan = plan_delta(txn, superblock)?;
    if plan.superblock.fallbacks.is_empty() {
        return Ok(plan);
    }
    Err(RepoError::Refused(
        "Cannot execute delta offline: contains nonempty http fallback entries".into(),
    ))
}

/// Parts that make nothing but directories which differ little from those that are here.
fn apply_patched(
    txn: &Transaction<'_>,
    plan: &DeltaPlan,
    dir: &Dir,
    limits: &Limits,
) -> Result<()> {
    for index in plan.patched.iter().copied() {
        if !patch_part(txn, plan, index)? {
            apply_parts(txn, plan, &[index], dir, limits)?;
        }
    }
    Ok(())
}

fn apply_parts(
    txn: &Transaction<'_>,
    plan: &DeltaPlan,
    parts: &[usize],
    dir: &Dir,
    limits: &Limits,
) -> Result<()> {
    for index in parts.iter().copied() {
        let header = &plan.superblock.parts[index];
        let bytes = match plan.superblock.inline_part(index) {
            Some(bytes) => bytes,
            None => dir.read(index.to_string(), header.size)?,
        };
        apply_part(txn, header, &bytes, limits).map_err(|e| executing(index, e))?;
    }
    Ok(())
}

fn executing(index: usize, error: RepoError) -> RepoError {
    match error {
        RepoError::Delta(source) => DeltaError::Part { index, source: Box::new(source) }.into(),
        other => other,
    }
}
