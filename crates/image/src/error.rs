use std::path::{Path, PathBuf};

use trefoil_fsat::FsError;
use trefoil_repo::RepoError;
use trefoil_repo::pull::PullError;
use trefoil_sysroot::SysrootError;

/// Result of an operation on an image.
pub type Result<T> = std::result::Result<T, ImageError>;

/// Why an operation on an image failed. The cause is in the source chain, not in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file system refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A repository refused.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The commit could not be brought over.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The sysroot in the image refused.
    #[error(transparent)]
    Sysroot(#[from] SysrootError),
    /// A step failed; the cause follows.
    #[error("{step}")]
    Step {
        /// What was being done.
        step: String,
        /// Why it failed.
        #[source]
        source: Box<ImageError>,
    },
    /// A program that the step needs is not there.
    #[error("{program} is not installed; on Debian it is in the package {package}")]
    NoProgram {
        /// The program.
        program: &'static str,
        /// Where Debian has it.
        package: &'static str,
    },
    /// A program failed.
    #[error("{command} failed: {message}")]
    Program {
        /// The command line.
        command: String,
        /// What it said on standard error, or how it ended.
        message: String,
    },
    /// The partition table cannot be read or written.
    #[error("the partition table of {}", path.display())]
    Table {
        /// The image.
        path: PathBuf,
        /// Why.
        #[source]
        source: gpt::GptError,
    },
    /// Somebody else uses the image; nothing was changed.
    #[error("{} is in use: {by}", path.display())]
    InUse {
        /// The image.
        path: PathBuf,
        /// Who, as far as can be told.
        by: String,
    },
    /// The request is refused as it stands.
    #[error("{0}")]
    Refused(String),
}

impl ImageError {
    pub(crate) fn table(path: &Path) -> impl FnOnce(gpt::GptError) -> ImageError + '_ {
        |source| ImageError::Table { path: path.to_path_buf(), source }
    }
}

/// Adds what was being done to an error.
pub(crate) trait During<T> {
    /// Wraps the error, if any, in [`ImageError::Step`].
    fn during(self, step: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<ImageError>> During<T> for std::result::Result<T, E> {
    fn during(self, step: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| ImageError::Step { step: step(), source: Box::new(e.into()) })
    }
}
