use std::collections::HashSet;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::object::{ObjectName, ObjectType};

use super::beside::{Needs, TreeAt};
use super::paths::refuse_unsafe_mode;
use super::{Outcome, PullError, PullOptions, PullStats};
use crate::traverse::ChecksumSet;
use crate::{ImportMethod, Repo, RepoError, Result, Transaction};

/// So few steps are done by the calling thread: to wake the others takes longer.
const AWAKENING: usize = 16;

/// Brings over the objects of one tree, level by level: the directories of a level by several
/// threads, then the files they name.
pub(super) struct TreeImport<'a> {
    pub txn: &'a Transaction<'a>,
    pub source: &'a Repo,
    pub options: &'a PullOptions,
    pub stats: &'a mut PullStats,
}

/// What the directories of one level refer to.
#[derive(Default)]
struct Level {
    files: ChecksumSet,
    metas: ChecksumSet,
    below: Vec<TreeAt>,
}

impl TreeImport<'_> {
    pub fn run(mut self, commit: &Commit, base: Option<Checksum>) -> Outcome<()> {
        self.import(&[ObjectName::new(commit.root_meta, ObjectType::DirMeta)])?;
        let mut seen: HashSet<(Checksum, String)> = HashSet::new();
        let by_path = !self.options.subdirs.is_empty();
        let mut pending = vec![TreeAt { tree: commit.root_tree, base, path: "/".to_string() }];
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
            let scanned: Outcome<Vec<Needs>> = match pending.len() {
                0..AWAKENING => pending.iter().map(|p| self.scan(p)).collect(),
                _ => pending.par_iter().map(|p| self.scan(p)).collect(),
            };
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

    fn scan(&self, at: &TreeAt) -> Outcome<Needs> {
        let name = ObjectName::new(at.tree, ObjectType::DirTree);
        let read = || {
            let bytes = self.txn.load_metadata(name.kind, &name.checksum)?;
            at.needs(self.txn.repo(), &self.options.subdirs, &bytes)
                .map_err(|source| RepoError::Corrupt { name, source })
        };
        read().map_err(|source| PullError::Dirtree {
            checksum: at.tree,
            path: at.path.clone(),
            source: Box::new(source),
        })
    }

    fn import(&mut self, names: &[ObjectName]) -> Outcome<()> {
        let methods: Result<Vec<ImportMethod>> = match names.len() {
            0..AWAKENING => names.iter().map(|name| self.import_one(name)).collect(),
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
