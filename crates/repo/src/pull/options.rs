//! What a pull is asked to do.

use std::sync::Arc;

use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec, RemoteName};

use super::PullRef;
use crate::traverse::Depth;
use crate::verify::RemoteVerifier;

/// What to pull and how.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Refs or checksums; where empty, every local ref of the source.
    pub refs: Vec<PullRef>,
    /// How many parents of each commit come along.
    pub depth: Depth,
    /// Refs are set below this remote (`REMOTE:REF`).
    pub remote: Option<RemoteName>,
    /// Refs are set as they are at the source, not below a remote: local ones, or those of the
    /// collection they belong to. Without refs, all of the source.
    pub mirror: bool,
    /// Only commit objects; the commits stay marked as partial.
    pub commit_only: bool,
    /// Takes the source's word for objects that can be linked. Without it every object is read
    /// and its checksum verified.
    pub trusted: bool,
    /// Refuses files that `bare-user-only` could not hold: set-id bits, world-writable.
    pub bareuseronly_files: bool,
    /// Checks that a commit was made for the ref that leads to it.
    pub verify_bindings: bool,
    /// Only these directories, as absolute paths; the commits stay marked as partial.
    pub subdirs: Vec<String>,
    /// Refuses a commit that is older than the one the ref points to here.
    pub timestamp_check: bool,
    /// Refuses commits that are older than this one.
    pub timestamp_check_from: Option<Checksum>,
    /// Verifies signatures of each commit, before anything of it is stored, and of the source's
    /// summary, which then decides what refs lead to.
    pub verifier: Option<Arc<RemoteVerifier>>,
    /// Fetches objects one by one, whatever deltas there are.
    pub disable_static_deltas: bool,
    /// Fails where there is no delta.
    pub require_static_deltas: bool,
    /// Only finds out what a delta would cost: [`PullStats::forecast`].
    pub dry_run: bool,
    /// Fails where a kept summary does not verify, instead of fetching it anew: for tests.
    pub refuse_invalid_cache: bool,
}

impl PullOptions {
    /// The ref here that follows `name` of the source.
    pub(super) fn refspec(&self, name: RefName) -> Refspec {
        let remote = if self.mirror { None } else { self.remote.clone() };
        Refspec { remote, name }
    }

    /// Whether the refs here are to be those of a remote, in its words.
    pub(super) fn mirrors_remote(&self) -> bool {
        self.mirror && self.remote.is_some()
    }

    /// Whether nothing is to be taken on trust.
    pub fn untrusted(&self) -> bool {
        !self.trusted
    }
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions {
            refs: Vec::new(),
            depth: Depth::Parents(0),
            remote: None,
            mirror: false,
            commit_only: false,
            trusted: true,
            bareuseronly_files: false,
            verify_bindings: true,
            subdirs: Vec::new(),
            timestamp_check: false,
            timestamp_check_from: None,
            verifier: None,
            disable_static_deltas: false,
            require_static_deltas: false,
            dry_run: false,
            refuse_invalid_cache: false,
        }
    }
}
