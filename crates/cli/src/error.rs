//! The one map from errors to words, a hint and an exit code.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

use trefoil_repo::RepoError;
use trefoil_repo::pull::PullError;
use trefoil_sysroot::SysrootError;

/// Result of a verb.
pub type Result<T> = std::result::Result<T, CliError>;

/// Why a verb failed.
#[derive(Debug)]
pub enum CliError {
    /// The arguments make no sense; the help of the verb goes before the message.
    Usage(String),
    /// A message that says all.
    Failed(String),
    /// A message, and advice on what to do.
    Advised(String, &'static str),
    /// Something `ostree` has and this program has not.
    NotYet(String),
    /// An error of a library, with its chain of causes.
    Library(Box<dyn Error + Send + Sync>),
    /// What was being done when another error came up.
    During(String, Box<CliError>),
}

impl CliError {
    /// A plain message.
    pub fn failed(message: impl Into<String>) -> Self {
        CliError::Failed(message.into())
    }

    /// A message that comes after the help of the verb.
    pub fn usage(message: impl Into<String>) -> Self {
        CliError::Usage(message.into())
    }

    /// `what` is a verb or option of `ostree` that is not there yet.
    pub fn not_yet(what: impl Into<String>) -> Self {
        CliError::NotYet(what.into())
    }

    /// The exit code; `ostree` knows no other than this.
    pub fn exit_code(&self) -> u8 {
        1
    }

    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            CliError::Usage(_) | CliError::Failed(_) => None,
            CliError::Advised(_, hint) => Some(hint),
            CliError::NotYet(_) => Some("COMPATIBILITY.md lists what works"),
            CliError::During(_, inner) => inner.hint(),
            CliError::Library(error) => library_hint(error.as_ref()),
        }
    }
}

fn library_hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if chain(error).filter_map(repo_error).any(is_damage) {
        return Some(
            "'fsck --delete' finds what is damaged or missing, and a pull fetches it again",
        );
    }
    if chain(error).any(|e| matches!(e.downcast_ref(), Some(PullError::SummaryOlder { .. }))) {
        return Some(
            "if the remote was set back on purpose, remove what is kept of its summary, in \
             tmp/cache/summaries of the repository",
        );
    }
    if chain(error).filter_map(sysroot_error).any(|e| matches!(e, SysrootError::BootOnFat { .. })) {
        return Some(
            "mount the EFI system partition at /boot/efi or /efi, and have /boot on a file system \
             with symbolic links, ext4 for example, or on the root",
        );
    }
    // The wrappers of other libraries are transparent: what they wrap is no link of the chain,
    // but the error of the operating system always is.
    let system = chain(error).find_map(|e| e.downcast_ref::<std::io::Error>())?;
    match system.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space, for example with 'prune', and run it again")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Some("remount the file system read-write and run it again")
        }
        ErrorKind::PermissionDenied => Some("run it as root, or on files you own"),
        _ => None,
    }
}

/// An error of the sysroot, in a box too.
fn sysroot_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a SysrootError> {
    let boxed = error.downcast_ref::<Box<SysrootError>>().map(Box::as_ref);
    boxed.or_else(|| error.downcast_ref())
}

/// An error of the repository, behind a transparent wrapper or in a box too.
fn repo_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a RepoError> {
    if let Some(SysrootError::Repo(inner)) = sysroot_error(error) {
        return Some(inner);
    }
    if let Some(PullError::Repo(inner)) = error.downcast_ref() {
        return Some(inner);
    }
    error.downcast_ref()
}

/// Whether the repository lacks what it should hold.
fn is_damage(error: &RepoError) -> bool {
    use RepoError::{ChecksumMismatch, Corrupt, ObjectMissing};
    matches!(error, ChecksumMismatch { .. } | Corrupt { .. } | ObjectMissing { .. })
}

/// An error and its causes in one line.
pub fn chain_text(error: &(dyn Error + 'static)) -> String {
    join(chain(error).map(ToString::to_string))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| e.source())
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Usage(text) | CliError::Failed(text) | CliError::Advised(text, _) => {
                f.write_str(text)
            }
            CliError::NotYet(what) => write!(f, "{what} is not implemented yet"),
            CliError::During(what, inner) => write!(f, "{what}: {inner}"),
            CliError::Library(error) => f.write_str(&chain_text(error.as_ref())),
        }
    }
}

/// Joins a chain of messages; a transparent wrapper repeats its cause and is left out, and so
/// is the number that the standard library adds to errors of the system.
fn join(texts: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for text in texts {
        let text = match text.rfind(" (os error ") {
            Some(at) if text.ends_with(')') => text[..at].to_string(),
            _ => text,
        };
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

impl<E: Error + Send + Sync + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        CliError::Library(Box::new(error))
    }
}

/// Says what was being done.
pub trait Context<T> {
    /// Puts `what` before the message of an error.
    fn context(self, what: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<CliError>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|e| CliError::During(what.into(), Box::new(e.into())))
    }
}
