//! Why a pull may fail.

use trefoil_format::checksum::Checksum;
use trefoil_format::error::FormatError;
use trefoil_format::object::ObjectName;

use super::transport::FetchError;
use crate::RepoError;
use crate::bindings::BindingError;
use crate::delta::DeltaName;
use crate::verify::VerifyError;

/// Why a pull failed. Refs are as they were; commits that came over in part are marked so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// One of the repositories could not be read or written.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A commit was not made for the ref that leads to it.
    #[error("Commit {commit}")]
    Binding {
        /// The commit.
        commit: Checksum,
        /// What does not fit.
        #[source]
        source: BindingError,
    },
    /// A directory object that cannot be used.
    #[error("Validating dirtree {checksum} ({path})")]
    Dirtree {
        /// The object.
        checksum: Checksum,
        /// Where it lies in the tree.
        path: String,
        /// What is wrong.
        #[source]
        source: Box<RepoError>,
    },
    /// The new commit is older than the one it has to follow.
    #[error(
        "Upgrade target revision '{new}' with timestamp {new_time} is chronologically older \
         than current revision '{old}' with timestamp {old_time}; use --allow-downgrade to permit"
    )]
    Older {
        /// The commit to be pulled.
        new: Checksum,
        /// Its time, in seconds since 1970.
        new_time: u64,
        /// The commit here.
        old: Checksum,
        /// Its time.
        old_time: u64,
    },
    /// A metadata object that is none.
    #[error("{name}")]
    Metadata {
        /// The object.
        name: ObjectName,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// A part of a static delta that cannot be applied.
    #[error("Executing static delta {delta} part {index}")]
    Part {
        /// The delta.
        delta: DeltaName,
        /// Number of the part, the first being 0.
        index: usize,
        /// Why.
        #[source]
        source: Box<RepoError>,
    },
    /// A file of the remote could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file of a ref holds no checksum.
    #[error("Fetching checksum for ref ((empty), {name}): Invalid rev {found}")]
    InvalidRef {
        /// The ref.
        name: String,
        /// The beginning of what it holds.
        found: String,
    },
    /// Something has to be signed and is not, or not by anyone trusted.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A summary that has to be signed is older than one that was seen before. libostree takes
    /// it, so that whoever stands between can have a machine stay at, or go back to, an old
    /// version whose holes are known.
    #[error(
        "Summary of remote {remote} was made at {found}, but one made at {known} was seen before: \
         it is out of date, or was rolled back"
    )]
    SummaryOlder {
        /// The remote.
        remote: String,
        /// When the one was made that came, in seconds since 1970.
        found: u64,
        /// When the kept one was made.
        known: u64,
    },
    /// The settings of the remote ask for something that is not supported.
    #[error("{what}")]
    Remote {
        /// The remote.
        remote: String,
        /// What it asks for.
        what: String,
    },
}
