//! Names from outside, checked once: directory entries, refs, remotes, collections.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::error::{FormatError, Result, cut};
use crate::object::MAX_NAME_LEN;

/// One component of a path: not empty, not `.` or `..`, no `/`, no NUL, at most 255 bytes.
///
/// Ordered by bytes, which is the order of entries in a dirtree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// Checks a name. libostree lets the empty name and names beyond 255 bytes pass here and
    /// fails when it checks them out.
    pub fn new(name: &str) -> Result<Self> {
        check_entry_name(name)?;
        Ok(EntryName(name.into()))
    }

    /// Checks a name that may not be UTF-8, which OSTree cannot hold.
    pub fn from_bytes(name: &[u8]) -> Result<Self> {
        Self::new(utf8_entry_name(name)?)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a directory entry without copying it.
pub(crate) fn check_entry_name(name: &str) -> Result<()> {
    let problem = match name {
        "" => "empty filename",
        "." => "self-referential filename",
        ".." => "path uplink filename",
        _ if name.len() > MAX_NAME_LEN => "filename, longer than 255 bytes:",
        _ if name.as_bytes().contains(&b'/') => "/ in filename",
        _ if name.as_bytes().contains(&0) => "NUL in filename",
        _ => return Ok(()),
    };
    Err(FormatError::EntryName { name: cut(name, MAX_NAME_LEN), problem })
}

/// Decodes a directory entry.
pub(crate) fn utf8_entry_name(name: &[u8]) -> Result<&str> {
    std::str::from_utf8(name).map_err(|_| FormatError::EntryName {
        name: cut(&String::from_utf8_lossy(name), MAX_NAME_LEN),
        problem: "UTF-8 in filename",
    })
}

/// Name of a ref: parts joined by `/`, each of letters, digits, `-`, `.` and `_` in any
/// script, starting with neither `-` nor `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Box<str>);

impl RefName {
    /// Checks a name by libostree's rules (`ostree_validate_rev`), except that a line break at
    /// the end, which its regular expression lets pass, is refused.
    pub fn new(name: &str) -> Result<Self> {
        if name.split('/').all(is_fragment) {
            Ok(RefName(name.into()))
        } else {
            Err(FormatError::name("ref name", name))
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name of a remote: one part of a ref name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(Box<str>);

impl RemoteName {
    /// Checks a name by libostree's rules (`ostree_validate_remote_name`).
    pub fn new(name: &str) -> Result<Self> {
        if is_fragment(name) {
            Ok(RemoteName(name.into()))
        } else {
            Err(FormatError::name("remote name", name))
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A collection ID: a reverse DNS name with the grammar of D-Bus interface names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(Box<str>);

impl CollectionId {
    /// Checks an ID: at least two parts joined by `.`, of ASCII letters, digits and `_`, none
    /// starting with a digit, at most 255 bytes in all.
    pub fn new(id: &str) -> Result<Self> {
        let valid = id.len() <= 255 && id.contains('.') && id.split('.').all(is_interface_part);
        if valid {
            Ok(CollectionId(id.into()))
        } else {
            Err(FormatError::name("collection ID", id))
        }
    }

    /// Returns the ID.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_interface_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with(|c: char| c.is_ascii_digit())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Tells whether `text` can be a folder or file below `refs/heads`; part of a [`RefName`].
pub fn is_fragment(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_word) && chars.all(|c| is_word(c) || c == '-' || c == '.')
}

/// What `\w` matches in the regular expressions of GLib: letters and numbers of any script.
fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number
    )
}

/// A ref, and the remote it was fetched from if it is not local: `remote:ref` or `ref`.
///
/// Local refs come first in the order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refspec {
    /// The remote; `None` for a local ref.
    pub remote: Option<RemoteName>,
    /// The ref.
    pub name: RefName,
}

impl Refspec {
    /// Names a local ref.
    pub fn local(name: RefName) -> Self {
        Refspec { remote: None, name }
    }

    /// Names a ref of a remote.
    pub fn of_remote(remote: RemoteName, name: RefName) -> Self {
        Refspec { remote: Some(remote), name }
    }

    /// Reads `remote:ref` or `ref`.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |_| FormatError::name("refspec", text);
        let (remote, name) = match text.split_once(':') {
            Some((remote, name)) => (Some(RemoteName::new(remote).map_err(refused)?), name),
            None => (None, text),
        };
        Ok(Refspec { remote, name: RefName::new(name).map_err(refused)? })
    }
}

impl fmt::Display for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(remote) = &self.remote {
            write!(f, "{remote}:")?;
        }
        write!(f, "{}", self.name)
    }
}

impl fmt::Debug for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for Refspec {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self> {
        Refspec::parse(text)
    }
}

/// Everything a checked string has in common.
macro_rules! checked_string {
    ($name:ident) => {
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = FormatError;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = FormatError;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

checked_string!(EntryName);
checked_string!(RefName);
checked_string!(RemoteName);
checked_string!(CollectionId);
