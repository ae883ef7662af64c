use std::collections::HashSet;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirtree::DirTree;
use trefoil_format::object::{ObjectName, ObjectType};

use super::paths::{refuse_unsafe_mode, wants_dir, wants_file};
use super::{Outcome, PullError, PullOptions, PullStats};
use crate::traverse::ChecksumSet;
use crate::{ImportMethod, Repo, RepoError, Result, Transaction};

/// Brings over the objects of one tree, level by level: the directories of a level by several
/// threads, then the files they name.
pub(super) struct TreeImport<'a> {
    pub txn: &'a Transaction<'a>,
    pub source: &'a Repo,
    pub options: &'a PullOptions,
    pub stats: &'a mut PullStats,
}

/// A directory to look into, and the one at the same path of a commit known to be whole.
struct Pending {
    tree: Checksum,
    base: Option<Checksum>,
    path: String,
}

/// What a directory refers to and the whole commit does not have in the same place.
#[derive(Default)]
struct Level {
    files: ChecksumSet,
    metas: ChecksumSet,
    below: Vec<Pending>,
}

impl TreeImport<'_> {
    pub fn run(mut self, commit: &Commit, base: Option<Checksum>) -> Outcome<()> {
        self.import(&[ObjectName::new(commit.root_meta, ObjectType::DirMeta)])?;
        let mut seen: HashSet<(Checksum, String)> = HashSet::new();
        let by_path = !self.options.subdirs.is_empty();
        let mut pending = vec![Pending { tree: commit.root_tree, base, path: "/".to_string() }];
        while !pending.is_empty() {
            // Where only some paths are wanted, the same directory elsewhere is another matter.
            pending.retain(|p| {
                let path = if by_path { p.path.clone() } else { String::new() };
                p.base != Some(p.tree) && seen.insert((p.tree, path))
            });
            let trees: Vec<_> =
                pending.iter().map(|p| ObjectName::new(p.tree, ObjectType::DirTree)).collect();
            self.import(&trees)?;
            self.stats.dirtrees_scanned += pending.len() as u64;
            let scanned: Outcome<Vec<Level>> = pending.par_iter().map(|p| self.scan(p)).collect();
            let mut level = Level::default();
            for part in scanned? {
                level.files.extend(part.files);
                level.metas.extend(part.metas);
                level.below.extend(part.below);
            }
            self.import(&names(&level.metas, ObjectType::DirMeta))?;
            self.import(&names(&level.files, ObjectType::File))?;
            pending = level.below;
        }
        Ok(())
    }

    fn scan(&self, pending: &Pending) -> Outcome<Level> {
        let tree = self.parse(pending)?;
        // A whole commit has its directories; were one gone, everything is looked at.
        let base = match pending.base {
            Some(base) => self.txn.repo().load_dirtree(&base).unwrap_or_default(),
            None => DirTree::default(),
        };
        let subdirs = &self.options.subdirs;
        let mut level = Level::default();
        for file in tree.files {
            let at = base.files.binary_search_by(|f| f.name.cmp(&file.name));
            let known = at.is_ok_and(|i| base.files[i].checksum == file.checksum);
            if !known && wants_file(subdirs, &pending.path, file.name.as_str()) {
                level.files.insert(file.checksum);
            }
        }
        for dir in tree.dirs {
            let path = format!("{}{}/", pending.path, dir.name.as_str());
            if !wants_dir(subdirs, &path) {
                continue;
            }
            let at = base.dirs.binary_search_by(|d| d.name.cmp(&dir.name));
            let beside = at.ok().map(|i| &base.dirs[i]);
            if beside.map(|d| d.meta) != Some(dir.meta) {
                level.metas.insert(dir.meta);
            }
            level.below.push(Pending { tree: dir.tree, base: beside.map(|d| d.tree), path });
        }
        Ok(level)
    }

    fn parse(&self, pending: &Pending) -> Outcome<DirTree> {
        let name = ObjectName::new(pending.tree, ObjectType::DirTree);
        let parsed = self.txn.load_metadata(ObjectType::DirTree, &pending.tree).and_then(|bytes| {
            DirTree::parse(&bytes).map_err(|source| RepoError::Corrupt { name, source })
        });
        parsed.map_err(|source| PullError::Dirtree {
            checksum: pending.tree,
            path: pending.path.clone(),
            source: Box::new(source),
        })
    }

    fn import(&mut self, names: &[ObjectName]) -> Outcome<()> {
        let methods: Result<Vec<ImportMethod>> = match names.len() {
            0..8 => names.iter().map(|name| self.import_one(name)).collect(),
            _ => names.par_iter().map(|name| self.import_one(name)).collect(),
        };
        for (name, method) in names.iter().zip(methods?) {
            if method == ImportMethod::Present {
                continue;
            }
            self.stats.linked += u64::from(method == ImportMethod::Link);
            match name.kind {
                ObjectType::File => self.stats.content_imported += 1,
                _ => self.stats.metadata_imported += 1,
            }
        }
        Ok(())
    }

    fn import_one(&self, name: &ObjectName) -> Result<ImportMethod> {
        if self.options.bareuseronly_files && name.kind == ObjectType::File {
            let header = self.source.load_file(&name.checksum)?.header;
            refuse_unsafe_mode(&name.checksum, &header)?;
        }
        self.txn.import_object(self.source, name, self.options.trusted)
    }
}

fn names(checksums: &ChecksumSet, kind: ObjectType) -> Vec<ObjectName> {
    checksums.iter().map(|c| ObjectName::new(*c, kind)).collect()
}
