//! Signatures around the superblock of a delta.

use trefoil_delta::{SignedDelta, is_signed};
use trefoil_sign::Verifier;

use crate::{Repo, RepoError, Result};

/// Whose signatures count when a delta is applied.
#[derive(Clone, Copy, Debug)]
pub struct DeltaKeys<'a> {
    /// The keys; they are asked where there are signatures.
    pub verifier: &'a Verifier,
    /// Refuses a delta without signatures, which libostree takes even with keys: who can change
    /// a delta can also take its signatures off.
    pub required: bool,
}

/// Says with which key a signature of the delta holds, in libostree's words. `bytes` are those
/// of the file `superblock`; nothing but the signatures is read of them.
///
/// # Errors
/// It is not signed, or not with the verifier's type, or no signature holds.
pub fn verify_delta(bytes: &[u8], verifier: &Verifier) -> Result<String> {
    match read_signed(bytes)? {
        Some(signed) => verify(&signed, verifier),
        None => Err(unsigned()),
    }
}

/// The container with signatures, `None` where the superblock is not in one.
pub(super) fn read_signed(bytes: &[u8]) -> Result<Option<SignedDelta>> {
    Ok(is_signed(bytes).then(|| SignedDelta::parse(bytes)).transpose()?)
}

fn verify(signed: &SignedDelta, verifier: &Verifier) -> Result<String> {
    if signed.sign_types().next().is_none() {
        return Err(unsigned());
    }
    let key = verifier.ty().metadata_key();
    let signatures = trefoil_sign::signatures(&signed.signatures, key)?.ok_or_else(|| {
        RepoError::Refused(format!("no signature for '{key}' in static-delta superblock"))
    })?;
    Ok(verifier.verify(&signed.superblock, Some(&signatures))?)
}

/// Lets a delta pass that is to be applied. `core.sign-verify-deltas` of the repository makes
/// keys and signatures mandatory; libostree lets a delta without signatures pass even so.
pub(super) fn check(
    repo: &Repo,
    signed: Option<&SignedDelta>,
    keys: Option<DeltaKeys<'_>>,
) -> Result<()> {
    let mandatory = mandatory(repo)?;
    match (signed, keys) {
        (Some(signed), Some(keys)) => verify(signed, keys.verifier).map(drop),
        (Some(_), None) if mandatory => {
            Err(RepoError::Refused("Key is mandatory to check delta signature".into()))
        }
        (None, keys) if mandatory || keys.is_some_and(|keys| keys.required) => Err(unsigned()),
        _ => Ok(()),
    }
}

fn unsigned() -> RepoError {
    RepoError::Refused("no signatures in static-delta".into())
}

fn mandatory(repo: &Repo) -> Result<bool> {
    let setting = repo.config().key_file.bool("core", "sign-verify-deltas");
    setting
        .transpose()
        .map(|value| value.unwrap_or(false))
        .map_err(|e| RepoError::Setting { key: "core.sign-verify-deltas", problem: e.to_string() })
}
