//! The one map from errors to words, a hint and an exit code.

use std::error::Error;
use std::fmt;

use trefoil_fsat::FsError;

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
    let fs = chain(error).find_map(|e| e.downcast_ref::<FsError>())?;
    if fs.is_no_space() {
        Some("free some space, for example with 'prune', and run it again")
    } else if fs.is_read_only() {
        Some("remount the file system read-write and run it again")
    } else if fs.is_permission() {
        Some("run it as root, or on files you own")
    } else {
        None
    }
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
