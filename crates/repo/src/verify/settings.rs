use trefoil_sign::{SignType, Verifier};

use super::{KeySources, VerifyError, VerifyResult, files};
use crate::Repo;
use crate::remote::Remote;

/// A setting that is true or false, unless the caller decided.
pub(super) fn flag(
    remote: &Remote,
    key: &str,
    decided: Option<bool>,
    default: bool,
) -> VerifyResult<bool> {
    match (decided, remote.option(key), remote.flag(key)) {
        (Some(decided), ..) => Ok(decided),
        (None, None, _) => Ok(default),
        (None, Some(_), Some(value)) => Ok(value),
        (None, Some(text), None) => Err(VerifyError::Setting {
            remote: remote.name.clone(),
            key: key.to_string(),
            problem: format!("'{text}' is neither true nor false"),
        }),
    }
}

/// The verifiers that `sign-verify` or `sign-verify-summary` asks for: all types where it is
/// true, else those it lists. `None` where it asks for nothing.
pub(super) fn engines(
    repo: &Repo,
    remote: &Remote,
    key: &str,
    sources: &KeySources<'_>,
) -> VerifyResult<Option<Vec<Verifier>>> {
    match remote.option(key).as_deref() {
        None | Some("" | "false" | "0") => Ok(None),
        Some("true" | "1") => {
            let types = SignType::ALL.iter().filter(|ty| allowed(**ty, sources));
            types
                .map(|ty| engine(repo, remote, *ty, sources, false))
                .collect::<VerifyResult<_>>()
                .map(Some)
        }
        Some(text) => {
            let names = text.split([',', ';']).map(str::trim).filter(|name| !name.is_empty());
            let engines = names.map(|name| engine(repo, remote, name.parse()?, sources, true));
            engines.collect::<VerifyResult<_>>().map(Some)
        }
    }
}

fn allowed(ty: SignType, sources: &KeySources<'_>) -> bool {
    ty != SignType::Dummy || sources.allow_dummy
}

/// With the keys of the remote, else those of the system.
fn engine(
    repo: &Repo,
    remote: &Remote,
    ty: SignType,
    sources: &KeySources<'_>,
    required: bool,
) -> VerifyResult<Verifier> {
    if !allowed(ty, sources) {
        return Err(trefoil_sign::SignError::DummyDisabled.into());
    }
    let mut verifier = Verifier::new(ty);
    let file = remote.option(&format!("verification-{ty}-file"));
    let inline = remote.option(&format!("verification-{ty}-key"));
    if file.is_none() && inline.is_none() {
        if required {
            return Err(VerifyError::NoKeys { ty });
        }
        files::add_system_keys(&mut verifier, repo.fs(), &sources.key_dirs);
        return Ok(verifier);
    }
    let failed = |place: String| {
        move |source: VerifyError| VerifyError::Keys { ty, place, source: Box::new(source) }
    };
    if let Some(path) = file {
        files::key_file(repo.fs(), path.as_ref())
            .and_then(|content| Ok(verifier.trust_file(&content)?))
            .map_err(failed(format!("'{path}'")))?;
    }
    if let Some(text) = inline {
        verifier
            .trust_text(&text)
            .map_err(|e| failed("inline `verification-key`".to_string())(e.into()))?;
    }
    Ok(verifier)
}
