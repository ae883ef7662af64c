//! Checking that a repository holds what its refs and commits promise.

mod check;
mod run;

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

pub use check::check_object;
pub use run::fsck;

use crate::RepoError;
use crate::bindings::BindingError;

/// What `ostree fsck` can be asked for besides checking.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckOptions {
    /// Go on after a corrupt object.
    pub all: bool,
    /// Delete corrupt objects and go on.
    pub delete: bool,
    /// Replace commits whose parent is missing by tombstones.
    pub add_tombstones: bool,
    /// Check that a ref's commit was made for that ref.
    pub verify_bindings: bool,
    /// Check that every ref a commit was made for leads to it. Implies the above.
    pub verify_back_refs: bool,
}

/// What happens during a check, as it happens.
#[derive(Debug)]
pub enum FsckEvent<'a> {
    /// The local and remote refs come next.
    ValidatingRefs,
    /// The refs of collections come next.
    ValidatingCollectionRefs,
    /// The list of commits comes next.
    EnumeratingCommits,
    /// The objects of so many complete commits come next.
    VerifyingObjects(u64),
    /// So many of all objects are done.
    Progress {
        /// Checked.
        done: u64,
        /// To be checked.
        total: u64,
    },
    /// An object is missing or broken and the check goes on.
    Finding(&'a Finding),
    /// A commit was marked as partial because of a finding.
    MarkedPartial(Checksum),
    /// A commit was replaced by a tombstone.
    AddedTombstone(Checksum),
}

/// An object that is missing or broken.
#[derive(Debug)]
pub struct Finding {
    /// The object.
    pub object: ObjectName,
    /// The commits that need it; empty where it was looked at for the sake of a ref.
    pub commits: Vec<Checksum>,
    /// What is wrong; `None` where it is missing.
    pub problem: Option<ObjectProblem>,
}

/// What is wrong with one object.
#[derive(Debug, thiserror::Error)]
#[error("fsck {}", self.label())]
pub struct ObjectProblem {
    /// The object.
    pub object: ObjectName,
    /// What is wrong with it.
    #[source]
    pub source: Box<RepoError>,
}

impl ObjectProblem {
    fn label(&self) -> String {
        match self.object.kind {
            ObjectType::File => format!("content object {}", self.object.checksum),
            _ => self.object.to_string(),
        }
    }
}

/// Why a check ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsckError {
    /// The repository could not be read or changed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A corrupt object, neither `all` nor `delete` being asked for.
    #[error("In commits {}", join(commits))]
    Corrupt {
        /// The commits that need it.
        commits: Vec<Checksum>,
        /// What is wrong.
        #[source]
        source: ObjectProblem,
    },
    /// As [`FsckError::Corrupt`], for the commit of a ref.
    #[error(transparent)]
    CorruptCommit(#[from] ObjectProblem),
    /// The commit of a ref cannot be loaded.
    #[error("Loading commit for ref {what}")]
    RefCommit {
        /// The ref: `NAME`, or `(COLLECTION, NAME)`.
        what: String,
        /// Why not.
        #[source]
        source: RepoError,
    },
    /// The commit of a ref was not made for it.
    #[error("Commit {commit}")]
    Binding {
        /// The commit.
        commit: Checksum,
        /// What does not fit.
        #[source]
        source: BindingError,
    },
    /// A ref that a commit was made for leads elsewhere or nowhere.
    #[error(transparent)]
    BackRef(BindingError),
}

fn join(commits: &[Checksum]) -> String {
    commits.iter().map(Checksum::to_hex).collect::<Vec<_>>().join(", ")
}

/// What a check found.
#[derive(Debug, Default)]
pub struct FsckReport {
    /// Complete commits that were checked.
    pub commits: u64,
    /// Different objects that were checked.
    pub objects: u64,
    /// Commits marked as partial, which were not checked.
    pub partial: u64,
    /// Of these, commits that an earlier check marked.
    pub fsck_partial: u64,
    /// Everything missing or broken.
    pub findings: Vec<Finding>,
    /// Commits replaced by tombstones.
    pub tombstones: Vec<Checksum>,
}

impl FsckReport {
    /// Whether nothing is wrong now and nothing was found wrong before.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.fsck_partial == 0
    }
}
