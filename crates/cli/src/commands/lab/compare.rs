//! Two deployments side by side, entry by entry.

use trefoil_fsat::{Dir, FileKind};

use crate::error::Result;

/// Largest file whose content is compared; larger ones would have to be the same inode.
const CONTENT_LIMIT: u64 = 1 << 30;
/// Differences that are named.
const NAMED: usize = 10;

/// What a comparison of two trees found.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Entries looked at.
    pub entries: u64,
    /// Regular files that are the same inode on both sides.
    pub same_inode: u64,
    /// The first paths that differ in type, mode, owner, content, target or attributes.
    pub differences: Vec<String>,
}

impl Comparison {
    /// Compares everything below two directories.
    pub fn of(ours: &Dir, theirs: &Dir) -> Result<Comparison> {
        let mut found = Comparison::default();
        found.directory(ours, theirs, "")?;
        Ok(found)
    }

    fn directory(&mut self, ours: &Dir, theirs: &Dir, path: &str) -> Result<()> {
        let (left, right) = (ours.sorted_entries()?, theirs.sorted_entries()?);
        let names = |list: &[trefoil_fsat::DirEntry]| {
            list.iter().map(|e| (e.name.clone(), e.kind)).collect::<Vec<_>>()
        };
        if names(&left) != names(&right) {
            self.differs(&format!("{path}/: names or types"));
            return Ok(());
        }
        for entry in &left {
            let child = format!("{path}/{}", entry.name.to_string_lossy());
            self.entries += 1;
            if !self.same(ours, theirs, entry)? {
                self.differs(&child);
            }
            if entry.kind == FileKind::Directory {
                self.directory(
                    &ours.open_dir(&entry.name)?,
                    &theirs.open_dir(&entry.name)?,
                    &child,
                )?;
            }
        }
        Ok(())
    }

    fn same(&mut self, ours: &Dir, theirs: &Dir, entry: &trefoil_fsat::DirEntry) -> Result<bool> {
        let name = &entry.name;
        let (left, right) = (ours.stat(name)?, theirs.stat(name)?);
        if left.identity() == right.identity() {
            self.same_inode += 1;
            return Ok(true);
        }
        if (left.mode, left.uid, left.gid) != (right.mode, right.uid, right.gid) {
            return Ok(false);
        }
        match entry.kind {
            FileKind::Symlink => Ok(ours.read_link(name)? == theirs.read_link(name)?),
            FileKind::Regular if left.size != right.size => Ok(false),
            FileKind::Regular => {
                let (left, right) = (ours.open_file(name)?, theirs.open_file(name)?);
                Ok(left.xattrs()? == right.xattrs()?
                    && left.read_all(CONTENT_LIMIT)? == right.read_all(CONTENT_LIMIT)?)
            }
            _ => Ok(ours.xattrs_of(name)? == theirs.xattrs_of(name)?),
        }
    }

    fn differs(&mut self, path: &str) {
        if self.differences.len() < NAMED {
            self.differences.push(path.to_string());
        }
    }
}
