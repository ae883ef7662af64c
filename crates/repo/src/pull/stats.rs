//! What a pull did, or would take.

use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::Refspec;

use crate::RefMove;
use crate::verify::VerifyReport;

/// What a pull brought over, in the terms of libostree's closing line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullStats {
    /// Commits, directories and directory metadata.
    pub metadata_imported: u64,
    /// Files.
    pub content_imported: u64,
    /// Of both, objects that became hard links to the source's.
    pub linked: u64,
    /// Metadata objects that came from a remote; an answer that a commit has no signatures
    /// counts, as in libostree 2022.7.
    pub metadata_fetched: u64,
    /// Files that came from a remote.
    pub content_fetched: u64,
    /// Parts of static deltas that came from a remote.
    pub delta_parts_fetched: u64,
    /// What a delta would cost, of a dry run.
    pub forecast: Option<DeltaForecast>,
    /// Bytes received from a remote.
    pub bytes_transferred: u64,
    /// Requests sent to a remote.
    pub requests: u64,
    /// Bytes of file content written; a link writes none.
    pub content_bytes_written: u64,
    /// Directories that were read to find what is missing.
    pub dirtrees_scanned: u64,
    /// The refs that were asked for and the commits they lead to now.
    pub refs: BTreeMap<Refspec, Checksum>,
    /// What was found of the signatures of commits that had to be signed.
    pub verified: BTreeMap<Checksum, VerifyReport>,
}

/// What a pull from a repository on this machine would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullPlan {
    /// What it would say that it did.
    pub stats: PullStats,
    /// The commits that are not here, in the order they would come.
    pub commits: Vec<Checksum>,
    /// The refs that would move.
    pub moves: Vec<RefMove>,
}

/// What a pull by static deltas takes. Sizes are in bytes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaForecast {
    /// Parts, and objects that come by themselves.
    pub parts: u64,
    /// Of these, those that nothing is missing of.
    pub parts_here: u64,
    /// All of them as they are fetched.
    pub size: u64,
    /// Of these, what is not to be fetched.
    pub size_here: u64,
    /// What they make.
    pub unpacked: u64,
}
