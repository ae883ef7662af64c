use std::path::PathBuf;

use trefoil_format::checksum::Checksum;
use trefoil_format::kargs::KernelArgsError;
use trefoil_format::keyfile::KeyFileError;
use trefoil_fsat::FsError;
use trefoil_repo::RepoError;

/// Result of an operation on a sysroot.
pub type Result<T> = std::result::Result<T, SysrootError>;

/// Why an operation on a sysroot failed. The cause is in the source chain, not in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysrootError {
    /// The file system refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The repository refused.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The merge of `/etc` failed.
    #[error(transparent)]
    Etc(#[from] crate::etc::EtcError),
    /// A change of kernel arguments does not fit those that are there.
    #[error(transparent)]
    Kargs(#[from] KernelArgsError),
    /// A step failed; the cause follows.
    #[error("{step}")]
    Step {
        /// What was being done, in libostree's words where it has some.
        step: String,
        /// Why it failed.
        #[source]
        source: Box<SysrootError>,
    },
    /// A key file on disk cannot be read.
    #[error("Parsing {}", path.display())]
    KeyFile {
        /// The file, relative to the sysroot.
        path: PathBuf,
        /// Where and what.
        #[source]
        source: KeyFileError,
    },
    /// The state on disk is not one that libostree or this program leaves behind.
    #[error("Unexpected state: {0}")]
    State(String),
    /// A setting in the repository's config has a value this program does not accept.
    #[error("setting {key} of the sysroot's repository: {problem}")]
    Setting {
        /// Group and key, joined by a dot.
        key: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// There is no such stateroot.
    #[error("No such stateroot: {name}")]
    NoStateroot {
        /// As it was asked for.
        name: String,
    },
    /// There is no deployment with that index.
    #[error("Out of range deployment index {index}, expected < {count}")]
    NoDeployment {
        /// As it was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The tree has no kernel where one is looked for.
    #[error(
        "Failed to find kernel in /usr/lib/modules, /usr/lib/ostree-boot or /boot of commit {commit}"
    )]
    NoKernel {
        /// The commit.
        commit: Checksum,
    },
    /// Only a part of the commit is in the repository.
    #[error("Commit {commit} is partial: pull it whole before deploying it")]
    PartialCommit {
        /// The commit.
        commit: Checksum,
    },
    /// Another process holds the sysroot lock.
    #[error(
        "Locking the sysroot failed: another process holds {} for more than {seconds} s; wait for it and try again",
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// A file system lacks the space; nothing was changed.
    #[error("Not enough space on the {role} file system at {}: {needed} bytes needed, {available} available", path.display())]
    NoSpace {
        /// `data` or `boot`.
        role: &'static str,
        /// A directory on it.
        path: PathBuf,
        /// Estimate of what would be written, in bytes.
        needed: u64,
        /// What is left for ordinary users, in bytes.
        available: u64,
    },
    /// The file system is mounted read-only; nothing was changed.
    #[error("{} is on a file system mounted read-only: remount it writable first", path.display())]
    ReadOnly {
        /// A directory on it.
        path: PathBuf,
    },
    /// `/boot` is a file system without symbolic links, which lead to everything in it; nothing
    /// was changed. In libostree's words.
    #[error("/boot cannot currently be a vfat filesystem: {}", path.display())]
    BootOnFat {
        /// The directory.
        path: PathBuf,
    },
    /// The request is refused as it stands.
    #[error("{0}")]
    Refused(String),
}

impl SysrootError {
    /// Whether the cause is that something does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            SysrootError::Fs(e) => e.is_not_found(),
            SysrootError::Repo(e) => e.is_not_found(),
            SysrootError::Step { source, .. } => source.is_not_found(),
            _ => false,
        }
    }
}

/// Adds what was being done to an error.
pub(crate) trait During<T> {
    /// Wraps the error, if any, in [`SysrootError::Step`].
    fn during(self, step: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<SysrootError>> During<T> for std::result::Result<T, E> {
    fn during(self, step: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| SysrootError::Step { step: step(), source: Box::new(e.into()) })
    }
}
