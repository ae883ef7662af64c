use std::path::PathBuf;

use trefoil_delta::DeltaError;
use trefoil_format::checksum::Checksum;
use trefoil_format::error::FormatError;
use trefoil_format::keyfile::KeyFileError;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::FsError;
use trefoil_sign::SignError;

use crate::RepoMode;

/// Result of a repository operation.
pub type Result<T> = std::result::Result<T, RepoError>;

/// Why a repository operation failed. The cause is in the source chain, not in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// The file system refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The directory holds no repository.
    #[error("{} is not an OSTree repository: it has no {missing}", path.display())]
    NotARepo {
        /// The directory that was opened.
        path: PathBuf,
        /// What it would have to contain.
        missing: &'static str,
    },
    /// The file `config` cannot be read.
    #[error("parsing config of repository {}", path.display())]
    Config {
        /// The repository.
        path: PathBuf,
        /// Where and what.
        #[source]
        source: KeyFileError,
    },
    /// A setting has a value this program does not accept.
    #[error("setting {key} of the repository: {problem}")]
    Setting {
        /// Group and key, joined by a dot.
        key: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// The repository does not hold this object.
    #[error("{}", missing(name))]
    ObjectMissing {
        /// The object.
        name: ObjectName,
    },
    /// An object is not what its name says or cannot be parsed.
    #[error("Corrupted object {name}")]
    Corrupt {
        /// The object.
        name: ObjectName,
        /// Where parsing stopped.
        #[source]
        source: FormatError,
    },
    /// The content of an object gives another checksum than its name.
    #[error("Corrupted {} object; checksum expected='{expected}' actual='{actual}'", kind)]
    ChecksumMismatch {
        /// Type word, for example `file`.
        kind: &'static str,
        /// The checksum in the name.
        expected: Checksum,
        /// The checksum of the content.
        actual: Checksum,
    },
    /// Bytes that should become an object are not valid.
    #[error("{what}")]
    Format {
        /// What was parsed or made.
        what: String,
        /// Where and why.
        #[source]
        source: FormatError,
    },
    /// A static delta that cannot be read, applied or made.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// A key cannot be used, or a signature of a static delta does not hold.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A ref or revision that does not exist.
    #[error("Refspec '{refspec}' not found")]
    RefNotFound {
        /// As it was asked for.
        refspec: String,
    },
    /// A checksum prefix that several commits share.
    #[error("Refspec {prefix} not unique")]
    RefAmbiguous {
        /// The prefix.
        prefix: String,
    },
    /// The commit has no parent to go to.
    #[error("Commit {commit} has no parent")]
    NoParent {
        /// The commit.
        commit: Checksum,
    },
    /// The ref would have to be both a file and a directory.
    #[error("Conflict: {existing} exists under {wanted} when attempting write")]
    RefConflict {
        /// The ref that is there.
        existing: String,
        /// The ref that was to be written.
        wanted: String,
    },
    /// The lock was held by another process for too long.
    #[error("Locking repo {mode} failed: another process holds {} for more than {seconds} s", path.display())]
    Locked {
        /// `shared` or `exclusive`.
        mode: &'static str,
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// Writing would leave less free space than the repository is configured to keep.
    #[error("{setting} would be exceeded, at least {requested} bytes requested in {path}")]
    MinFreeSpace {
        /// Name and value of the setting.
        setting: String,
        /// Size of what was to be written, in bytes.
        requested: u64,
        /// The repository.
        path: PathBuf,
    },
    /// A file mode that the repository mode cannot hold.
    #[error("Content object {checksum}: invalid mode 0{mode:04o} with bits 0{bits:04o}")]
    BareUserOnlyMode {
        /// The object.
        checksum: Checksum,
        /// All permission bits.
        mode: u32,
        /// The offending ones.
        bits: u32,
    },
    /// An archive to be imported is not what it should be.
    #[error("Damaged archive at byte {at}: {problem}")]
    Archive {
        /// Position in the unpacked archive.
        at: u64,
        /// What is wrong there.
        problem: String,
    },
    /// An archive to be imported could not be read or unpacked.
    #[error("Reading archive at byte {at}")]
    ArchiveRead {
        /// Position in the unpacked archive.
        at: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An object that is exported could not be read.
    #[error("reading {name}")]
    ExportRead {
        /// The object.
        name: ObjectName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is exported could not be written.
    #[error("writing the archive")]
    ExportWrite(#[source] std::io::Error),
    /// A path that the tree does not have.
    #[error("No such file or directory: {path}")]
    PathNotFound {
        /// As it was asked for.
        path: String,
    },
    /// The repository mode cannot do this.
    #[error("{what} is not supported in mode {mode}")]
    UnsupportedMode {
        /// What was asked for.
        what: &'static str,
        /// The mode of the repository.
        mode: RepoMode,
    },
    /// Any other refusal, in words that name the object, path or ref.
    #[error("{0}")]
    Refused(String),
}

impl RepoError {
    /// A [`RepoError::Format`] with what was being done.
    pub fn format(what: impl Into<String>, source: FormatError) -> Self {
        RepoError::Format { what: what.into(), source }
    }

    /// Whether this says that something does not exist, rather than that it is broken.
    pub fn is_not_found(&self) -> bool {
        match self {
            RepoError::ObjectMissing { .. }
            | RepoError::RefNotFound { .. }
            | RepoError::PathNotFound { .. } => true,
            RepoError::Fs(e) => e.is_not_found(),
            _ => false,
        }
    }
}

fn missing(name: &ObjectName) -> String {
    match name.kind {
        ObjectType::File => format!("Couldn't find file object '{}'", name.checksum),
        _ => format!("No such metadata object {name}"),
    }
}
