use std::fmt;

use super::modifier::TreePath;
use crate::mutable_tree::check_depth;
use crate::{RepoError, Result};

/// As libostree, which takes the system's limit for paths.
const MAX_PATH: usize = 4096;

/// The path of an entry from the root of the tree: names joined by `/`, empty for the root.
/// None of them is empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ArchivePath(Box<str>);

impl ArchivePath {
    /// Takes a path as an archive has it. Absolute paths, and those with `/../` at their
    /// beginning, are taken from the root of the tree.
    ///
    /// # Errors
    /// Any other `..`, bytes that are not UTF-8, paths that are too long.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let refuse = |problem: &str| {
            let path = bytes.escape_ascii().to_string();
            RepoError::Refused(format!("While making relative path \"{path}\": {problem}"))
        };
        if bytes.len() > MAX_PATH {
            return Err(refuse("it is too long"));
        }
        let text = std::str::from_utf8(bytes);
        let mut rest = text.map_err(|_| refuse("Archive entry pathname is not valid UTF-8"))?;
        while let Some(after) = rest.strip_prefix('/') {
            rest = if after.starts_with("../") { &after[2..] } else { after };
        }
        let names: Vec<&str> = rest.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if names.contains(&"..") {
            return Err(refuse("Invalid uplink '..' in path"));
        }
        check_depth(names.len()).map_err(|e| refuse(&e.to_string()))?;
        Ok(ArchivePath(names.join("/").into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names above the last one.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        let above = self.0.rsplit_once('/').map_or("", |(above, _)| above);
        above.split('/').filter(|name| !name.is_empty())
    }

    /// The last name; `None` for the root.
    pub fn name(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// The same as the lists by path have it.
    pub fn in_tree<'a>(&'a self, root: &'a TreePath<'a>) -> TreePath<'a> {
        if self.0.is_empty() { *root } else { root.child(&self.0) }
    }
}

impl fmt::Display for ArchivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::ArchivePath;

    /// Guards that every way to write a path stays inside the tree, and which libostree takes.
    #[test]
    fn paths_stay_inside() {
        let path = |text: &str| ArchivePath::new(text.as_bytes()).map(|path| path.0.to_string());
        for (text, expected) in [
            ("./a//b/", "a/b"),
            ("/../../a", "a"),
            ("//a/./b", "a/b"),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(path(text).expect(text), expected);
        }
        for text in ["../a", "a/..", "a/../../b", "/..", "./../a", "a//../b"] {
            path(text).expect_err(text);
        }
        ArchivePath::new(b"a\xff").expect_err("not UTF-8");
        path(&"a/".repeat(300)).expect_err("too deep");
        let deep = ArchivePath::new(b"a/b/c").expect("valid");
        assert_eq!(deep.parents().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(deep.name(), Some("c"));
    }
}
