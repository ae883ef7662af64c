use trefoil_format::checksum::Checksum;
use trefoil_sign::SignError;
use trefoil_sign::gpg::SignatureReport;

use crate::RepoError;

/// Result of verifying.
pub type VerifyResult<T> = std::result::Result<T, VerifyError>;

/// Why something is not taken for signed. The words are libostree's; scripts look for them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A key or a setting could not be read, or the bytes are not those of the commit.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A key cannot be used, or a signature does not hold.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Of the commit, by OpenPGP.
    #[error("Commit {commit}")]
    Commit {
        /// The commit.
        commit: Checksum,
        /// Why.
        #[source]
        source: Box<VerifyError>,
    },
    /// Of the commit, by another type of signature.
    #[error("Can't verify commit")]
    SignCommit(#[source] Box<VerifyError>),
    /// The first of several types of signature that do not hold.
    #[error("({others} other invalid signatures)")]
    Others {
        /// How many more there are.
        others: usize,
        /// Of the first.
        #[source]
        source: SignError,
    },
    /// No OpenPGP signature where there has to be one.
    #[error(
        "GPG verification enabled, but no signatures found (use gpg-verify=false in remote \
         config to disable)"
    )]
    NoGpgSignature,
    /// A signature is wanted and the commit has no detached metadata at all.
    #[error("Can't verify commit without detached metadata")]
    NoDetached,
    /// No signature of a type that is wanted.
    #[error("No signatures found")]
    NoSignature,
    /// No OpenPGP signature counts.
    #[error("{}", refused(reports))]
    GpgRefused {
        /// What became of each.
        reports: Vec<SignatureReport>,
    },
    /// The remote has no summary and it has to be signed.
    #[error(
        "{} verification enabled, but no summary found (use {}=false in remote config to disable)",
        kind(*.gpg), summary_key(*.gpg)
    )]
    NoSummary {
        /// Whether by OpenPGP.
        gpg: bool,
    },
    /// The summary has no signature and has to be signed.
    #[error(
        "{} verification enabled, but no summary.sig found (use {}=false in remote config to \
         disable)",
        kind(*.gpg), summary_key(*.gpg)
    )]
    NoSummarySignature {
        /// Whether by OpenPGP.
        gpg: bool,
    },
    /// A setting of the remote that means nothing.
    #[error("remote {remote}: {key}: {problem}")]
    Setting {
        /// The remote.
        remote: String,
        /// The key.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A type of signature is asked for by name and no key of it is configured.
    #[error("No keys found for required signapi type {ty}")]
    NoKeys {
        /// The type.
        ty: trefoil_sign::SignType,
    },
    /// The keys in a file or a setting cannot be used.
    #[error("Failed loading '{ty}' keys from {place}")]
    Keys {
        /// The type.
        ty: trefoil_sign::SignType,
        /// A file in quotes, or a setting.
        place: String,
        /// Why.
        #[source]
        source: Box<VerifyError>,
    },
}

fn kind(gpg: bool) -> &'static str {
    if gpg { "GPG" } else { "Signatures" }
}

fn summary_key(gpg: bool) -> &'static str {
    if gpg { "gpg-verify-summary" } else { "sign-verify-summary" }
}

/// The last signature comes first: it is the likeliest to tell what is wrong.
fn refused(reports: &[SignatureReport]) -> String {
    if reports.is_empty() {
        return "No GPG signatures found".to_string();
    }
    let text: String = reports.iter().rev().map(|r| r.describe("", super::show::utc)).collect();
    text.trim_end().to_string()
}
