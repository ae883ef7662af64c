//! Whether a commit or a summary is signed by someone the settings of a remote trust.
//!
//! A [`RemoteVerifier`] is made once per pull, from the settings of the remote and the places
//! keys are looked for in; it reads all keys when it is made and does no I/O afterwards. What
//! it is given to verify are the bytes as they came over: verify before anything is stored.

mod error;
mod files;
mod keyring;
mod settings;
mod show;

use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_fsat::Dir;
use trefoil_sign::gpg::{self, Keyring, SignatureReport};
use trefoil_sign::{SignError, Verifier};

pub use error::{VerifyError, VerifyResult};
pub use files::{key_file, key_verifier};
pub use keyring::{KeyImport, KeyringOf, import_keys, keyring, list_keys, plan_import_keys};
pub use show::{gpg_reports, gpg_signatures, has_gpg_signature};

use crate::remote::Remote;
use crate::{Repo, RepoError};
use std::path::PathBuf;

/// Where keys are looked for beyond the repository and the settings of a remote, and what else
/// a verdict depends on. The libraries know neither clock nor environment, so the caller tells.
#[derive(Clone, Debug, Default)]
pub struct KeySources<'a> {
    /// `remotes.d` of the system: keyrings of remotes may lie in it too.
    pub remotes_d: Option<&'a Dir>,
    /// OpenPGP keyrings (`*.gpg`) in this directory count for remotes that have none of their
    /// own: `OSTREE_GPG_HOME`, else `/usr/share/ostree/trusted.gpg.d`. It need not exist.
    pub keyring_dir: Option<PathBuf>,
    /// Directories with `trusted.TYPE`, `trusted.TYPE.d`, `revoked.TYPE`, `revoked.TYPE.d` for
    /// the other types: `/etc/ostree`, `/usr/share/ostree`. They need not exist.
    pub key_dirs: Vec<PathBuf>,
    /// Whether signatures of the type `dummy`, which anyone can make, are taken.
    pub allow_dummy: bool,
    /// Now, in seconds since 1970: what has ended by then counts no more.
    pub now: u64,
}

/// What is to be verified, where that is not what the settings of the remote say.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOverrides {
    /// In place of `gpg-verify`.
    pub gpg: Option<bool>,
    /// In place of `gpg-verify-summary`.
    pub gpg_summary: Option<bool>,
    /// Ignores `sign-verify` and `sign-verify-summary`, as `pull-local` does.
    pub no_sign: bool,
}

/// What held, for people to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// All OpenPGP signatures, also those that do not count; empty where none were asked for.
    pub gpg: Vec<SignatureReport>,
    /// What the other types say, for example `ed25519: Signature verified successfully with key
    /// '...'`.
    pub sign: Option<String>,
}

/// Verifies what comes from one remote.
#[derive(Debug)]
pub struct RemoteVerifier {
    remote: String,
    gpg_commit: bool,
    gpg_summary: bool,
    /// `None` where the setting does not ask for it.
    sign_commit: Option<Vec<Verifier>>,
    sign_summary: Option<Vec<Verifier>>,
    keyring: Keyring,
    now: u64,
}

impl RemoteVerifier {
    /// By the settings of `remote`: `gpg-verify` (on unless switched off), `gpg-verify-summary`,
    /// `sign-verify`, `sign-verify-summary`, `verification-TYPE-key`, `verification-TYPE-file`,
    /// `gpgkeypath`, and the keyring `NAME.trustedkeys.gpg`.
    ///
    /// # Errors
    /// A setting of a value that means nothing, a type of signature that does not exist, a key
    /// that is asked for and cannot be read.
    pub fn new(
        repo: &Repo,
        remote: &Remote,
        sources: &KeySources<'_>,
        overrides: &VerifyOverrides,
    ) -> VerifyResult<Self> {
        let gpg_commit = settings::flag(remote, "gpg-verify", overrides.gpg, true)?;
        let gpg_summary =
            settings::flag(remote, "gpg-verify-summary", overrides.gpg_summary, false)?;
        let engines = |key| match overrides.no_sign {
            true => Ok(None),
            false => settings::engines(repo, remote, key, sources),
        };
        let keyring = match gpg_commit || gpg_summary {
            true => keyring::keyring(repo, &KeyringOf::Remote(remote), sources)?,
            false => Keyring::default(),
        };
        Ok(RemoteVerifier {
            remote: remote.name.clone(),
            gpg_commit,
            gpg_summary,
            sign_commit: engines("sign-verify")?,
            sign_summary: engines("sign-verify-summary")?,
            keyring,
            now: sources.now,
        })
    }

    /// The name of the remote.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// Whether commits have to be signed.
    pub fn wants_commit(&self) -> bool {
        self.gpg_commit || self.sign_commit.is_some()
    }

    /// Whether the summary has to be there and signed.
    pub fn wants_summary(&self) -> bool {
        self.gpg_summary || self.sign_summary.is_some()
    }

    /// Whether commits need an OpenPGP signature, and whether they need one of another type:
    /// for the lines `security: GPG: ...` and `security: SIGN: ...`.
    pub fn commit_kinds(&self) -> (bool, bool) {
        (self.gpg_commit, self.sign_commit.is_some())
    }

    /// As [`RemoteVerifier::commit_kinds`], of the summary.
    pub fn summary_kinds(&self) -> (bool, bool) {
        (self.gpg_summary, self.sign_summary.is_some())
    }

    /// Accepts a commit that nothing has to be verified of, or that has at least one good
    /// signature of each kind that is asked for, among those in `detached`.
    ///
    /// The bytes are checked to be those of `checksum`, so what is accepted is that commit and
    /// no other.
    ///
    /// # Errors
    /// It is not signed, or not by anyone trusted; the words are libostree's.
    pub fn verify_commit(
        &self,
        checksum: &Checksum,
        commit: &[u8],
        detached: Option<&Metadata>,
    ) -> VerifyResult<VerifyReport> {
        let mut report = VerifyReport::default();
        if !self.wants_commit() {
            return Ok(report);
        }
        let actual = Checksum::of(commit);
        if actual != *checksum {
            let kind = "commit";
            let expected = *checksum;
            return Err(RepoError::ChecksumMismatch { kind, expected, actual }.into());
        }
        if self.gpg_commit {
            report.gpg =
                self.gpg(commit, detached, VerifyError::NoGpgSignature).map_err(|source| {
                    VerifyError::Commit { commit: *checksum, source: source.into() }
                })?;
        }
        if let Some(engines) = &self.sign_commit {
            let detached = detached.ok_or(VerifyError::NoDetached)?;
            let message = sign(engines, commit, detached);
            report.sign = Some(message.map_err(|e| VerifyError::SignCommit(e.into()))?);
        }
        Ok(report)
    }

    /// Accepts a summary that nothing has to be verified of, or that has at least one good
    /// signature of each kind that is asked for, in `signatures`: the bytes of `summary.sig`.
    ///
    /// # Errors
    /// There is no summary or it is not signed, or not by anyone trusted.
    pub fn verify_summary(
        &self,
        summary: Option<&[u8]>,
        signatures: Option<&[u8]>,
    ) -> VerifyResult<VerifyReport> {
        let mut report = VerifyReport::default();
        if !self.wants_summary() {
            return Ok(report);
        }
        let gpg = self.gpg_summary;
        let summary = summary.ok_or(VerifyError::NoSummary { gpg })?;
        let signatures = signatures.ok_or(VerifyError::NoSummarySignature { gpg })?;
        // What is no dictionary holds no signatures, as libostree sees it.
        let signatures = Metadata::parse(signatures).unwrap_or_default();
        if self.gpg_summary {
            report.gpg = self.gpg(summary, Some(&signatures), VerifyError::NoGpgSignature)?;
        }
        if let Some(engines) = &self.sign_summary {
            report.sign = Some(sign(engines, summary, &signatures)?);
        }
        Ok(report)
    }

    fn gpg(
        &self,
        data: &[u8],
        metadata: Option<&Metadata>,
        missing: VerifyError,
    ) -> VerifyResult<Vec<SignatureReport>> {
        let signatures = match metadata {
            Some(metadata) => trefoil_sign::signatures(metadata, gpg::METADATA_KEY)?,
            None => None,
        };
        let reports = self.keyring.verify(data, &signatures.ok_or(missing)?, self.now)?;
        match reports.iter().any(SignatureReport::is_valid) {
            true => Ok(reports),
            false => Err(VerifyError::GpgRefused { reports }),
        }
    }
}

/// The first signature that holds, of any of the types.
fn sign(engines: &[Verifier], data: &[u8], metadata: &Metadata) -> VerifyResult<String> {
    let mut first_error: Option<SignError> = None;
    let mut refused = 0;
    for engine in engines {
        let Some(signatures) = trefoil_sign::signatures(metadata, engine.ty().metadata_key())?
        else {
            continue;
        };
        match engine.verify(data, Some(&signatures)) {
            Ok(message) => return Ok(message),
            Err(error) => {
                refused += 1;
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        None => Err(VerifyError::NoSignature),
        Some(source) if refused > 1 => Err(VerifyError::Others { others: refused - 1, source }),
        Some(source) => Err(source.into()),
    }
}
