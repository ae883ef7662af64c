use std::fmt;

/// How a repository stores content objects.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepoMode {
    /// As plain files with owner, mode and attributes of the tree: needs root.
    Bare,
    /// As `bare`, with extended attributes in objects of their own; read only here.
    BareSplitXattrs,
    /// As plain files, owner, mode and attributes kept in `user.ostreemeta`.
    BareUser,
    /// As plain files; owner and attributes are not kept, modes are canonical.
    BareUserOnly,
    /// Compressed, with a header: for serving.
    Archive,
}

impl RepoMode {
    /// The word in `config`. `archive` is written as `archive-z2` for old readers.
    pub const fn config_word(self) -> &'static str {
        match self {
            RepoMode::Bare => "bare",
            RepoMode::BareSplitXattrs => "bare-split-xattrs",
            RepoMode::BareUser => "bare-user",
            RepoMode::BareUserOnly => "bare-user-only",
            RepoMode::Archive => "archive-z2",
        }
    }

    /// The mode that a word in `config` or on the command line means.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "bare" => RepoMode::Bare,
            "bare-split-xattrs" => RepoMode::BareSplitXattrs,
            "bare-user" => RepoMode::BareUser,
            "bare-user-only" => RepoMode::BareUserOnly,
            "archive" | "archive-z2" => RepoMode::Archive,
            _ => return None,
        })
    }

    /// Whether content objects are plain files that a checkout can link to.
    pub const fn is_bare(self) -> bool {
        !matches!(self, RepoMode::Archive)
    }
}

impl fmt::Display for RepoMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RepoMode::Archive => "archive",
            other => other.config_word(),
        })
    }
}
