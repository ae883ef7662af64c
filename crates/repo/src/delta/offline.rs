use trefoil_delta::{DeltaError, Limits, SignedDelta, Superblock};
use trefoil_fsat::Dir;

use super::store::SUPERBLOCK_LIMIT;
use super::{apply_part, plan_delta, read_superblock, write_delta_commit};
use crate::{Repo, RepoError, Result};

/// Checks the signatures around a superblock before anything of it is used.
pub type CheckSignature<'a> = &'a dyn Fn(&SignedDelta) -> Result<()>;

/// Applies the delta in the file `file` of `dir`, whose parts lie beside it or in it, and
/// gives its superblock. One transaction; no ref moves.
///
/// As in libostree `check` is asked only where there are signatures; without it they count for
/// nothing, unless the repository wants them checked (`core.sign-verify-deltas`).
///
/// # Errors
/// As [`plan_delta`] and [`apply_part`]; a delta with fallback objects.
pub fn apply_offline(
    repo: &Repo,
    dir: &Dir,
    file: &str,
    check: Option<CheckSignature<'_>>,
    limits: &Limits,
) -> Result<Superblock> {
    let bytes = dir.read(file, SUPERBLOCK_LIMIT)?;
    let (superblock, signed) = read_superblock(&bytes)?;
    drop(bytes);
    if let Some(signed) = &signed {
        match check {
            Some(check) => check(signed)?,
            None => refuse_unchecked(repo)?,
        }
    }
    drop(signed);
    let txn = repo.begin()?;
    let plan = plan_delta(&txn, superblock)?;
    if !plan.superblock.fallbacks.is_empty() {
        return Err(RepoError::Refused(
            "Cannot execute delta offline: contains nonempty http fallback entries".into(),
        ));
    }
    for (index, header) in plan.part_headers() {
        let bytes = match plan.superblock.inline_part(index) {
            Some(bytes) => bytes,
            None => dir.read(index.to_string(), header.size)?,
        };
        apply_part(&txn, header, &bytes, limits).map_err(|e| executing(index, e))?;
    }
    write_delta_commit(&txn, &plan.superblock)?;
    txn.commit()?;
    Ok(plan.superblock)
}

fn refuse_unchecked(repo: &Repo) -> Result<()> {
    match repo.config().key_file.bool("core", "sign-verify-deltas") {
        Some(Ok(true)) => {
            Err(RepoError::Refused("Key is mandatory to check delta signature".into()))
        }
        Some(Err(e)) => {
            Err(RepoError::Setting { key: "core.sign-verify-deltas", problem: e.to_string() })
        }
        Some(Ok(false)) | None => Ok(()),
    }
}

fn executing(index: usize, error: RepoError) -> RepoError {
    match error {
        RepoError::Delta(source) => DeltaError::Part { index, source: Box::new(source) }.into(),
        other => other,
    }
}
