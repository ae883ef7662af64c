use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::{DirTree, FileEntry, SubdirEntry};
use trefoil_format::name::EntryName;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Dir, FileKind, Stat, Timestamp};

use super::record::{Identity, NewRecord, OldDir, OldFile, Record};
use crate::commit::import::{Import, Named, named};
use crate::commit::modifier::{Attributes, TreePath};
use crate::mutable_tree::check_depth;
use crate::{Result, TreeId};

/// Directories with fewer files are no work for two threads.
const SPREAD: usize = 64;

/// One import with an index.
pub(super) struct Walk<'a> {
    pub import: Import<'a>,
    /// When it began.
    pub now: Timestamp,
    /// Whether all objects the index names are known to be in the repository. Each one is
    /// looked for otherwise.
    pub complete: bool,
}

/// A directory that was walked.
pub(super) struct Walked<'i> {
    pub id: TreeId,
    pub record: Record<'i>,
}

/// What there is to look at in a directory.
struct Listing<'i> {
    files: Vec<(Named, Option<OldFile<'i>>)>,
    dirs: Vec<(EntryName, Option<OldDir<'i>>)>,
}

struct SeenFile {
    name: EntryName,
    identity: Identity,
    checksum: Checksum,
}

impl Walk<'_> {
    /// Imports one directory; `None` where it is left out. `above` is the `device` of the
    /// directory above it.
    pub fn directory<'i>(
        &self,
        dir: &Dir,
        old: Option<OldDir<'i>>,
        above: Option<u64>,
        path: &TreePath<'_>,
    ) -> Result<Option<Walked<'i>>> {
        check_depth(path.depth())?;
        let stat = dir.stat_self()?;
        let device = device(dir, &stat, above)?;
        let old = old.filter(|_| device.is_some());
        let Some(attributes) = self.import.apply(path, Attributes::of(&stat)) else {
            return Ok(None);
        };
        self.import.tally.dirs.fetch_add(1, Relaxed);
        let unchanged = old.filter(|old| old.identity == Identity::of(&stat));
        let meta = match unchanged {
            Some(old) if self.has(old.id.meta, ObjectType::DirMeta)? => old.id.meta,
            _ => self.read_meta(dir, attributes)?,
        };
        if let Some(old) = unchanged.filter(|_| !self.import.modifier.has_lists())
            && let Some(walked) = self.unchanged_listing(dir, &old, meta, device, path)?
        {
            return Ok(Some(walked));
        }
        self.changed(dir, &stat, meta, old, device, path).map(Some)
    }

    /// A directory whose names are those of the index: it need not be listed, and where all
    /// beneath it is as it was, not be written. `None` where it has to be looked at anew.
    fn unchanged_listing<'i>(
        &self,
        dir: &Dir,
        old: &OldDir<'i>,
        meta: Checksum,
        device: Option<u64>,
        path: &TreePath<'_>,
    ) -> Result<Option<Walked<'i>>> {
        let (Some(files), Some(dirs)) = (old.files(), old.dirs()) else { return Ok(None) };
        let (same_files, walked) = rayon::join(
            || self.all_same(dir, &files, path),
            || {
                let enter = |(name, old): &(&'i str, OldDir<'i>)| {
                    let sub = dir.open_dir(name)?;
                    Ok((*name, self.directory(&sub, Some(*old), device, &path.child(name))?))
                };
                dirs.par_iter().map(enter).collect::<Result<Vec<_>>>()
            },
        );
        let (same_files, walked) = (same_files?, walked?);
        let same_dir = |(_, walked): &(&str, Option<Walked<'_>>)| {
            walked.as_ref().is_some_and(|w| matches!(w.record, Record::Same(_)))
        };
        if same_files
            && walked.iter().all(same_dir)
            && meta == old.id.meta
            && self.has(old.id.tree, ObjectType::DirTree)?
        {
            return Ok(Some(Walked { id: old.id, record: Record::Same(old.record) }));
        }
        let seen = self.files(&files, |file| self.known_file(dir, file, device, path))?;
        let mut dirs = Vec::with_capacity(walked.len());
        for (name, sub) in walked {
            if let Some(sub) = sub {
                dirs.push((entry_name(name, path)?, sub));
            }
        }
        self.finish(old.identity, meta, seen, dirs).map(Some)
    }

    /// A directory that has to be listed.
    fn changed<'i>(
        &self,
        dir: &Dir,
        stat: &Stat,
        meta: Checksum,
        old: Option<OldDir<'i>>,
        device: Option<u64>,
        path: &TreePath<'_>,
    ) -> Result<Walked<'i>> {
        let Listing { files, dirs } = self.list(dir, old, path)?;
        let (seen, walked) = rayon::join(
            || {
                let see = |(file, old): &(Named, Option<OldFile<'_>>)| {
                    self.seen_file(dir, file, old.as_ref(), device, path)
                };
                self.files(&files, see)
            },
            || {
                let enter = |(name, old): &(EntryName, Option<OldDir<'i>>)| {
                    // Asked twice for a directory, as in `import_dir`.
                    let attributes = Attributes { uid: 0, gid: 0, mode: 0o040_000 };
                    let path = path.child(name.as_str());
                    if self.import.apply(&path, attributes).is_none() {
                        return Ok(None);
                    }
                    let sub = dir.open_dir(name.as_str())?;
                    let walked = self.directory(&sub, *old, device, &path)?;
                    Ok(walked.map(|walked| (name.clone(), walked)))
                };
                dirs.par_iter().map(enter).collect::<Result<Vec<_>>>()
            },
        );
        let walked = walked?.into_iter().flatten().collect();
        self.finish(Identity::settled(stat, self.now, device), meta, seen?, walked)
    }

    /// Lists a directory, ascending, each entry beside what the index has of it.
    fn list<'i>(
        &self,
        dir: &Dir,
        old: Option<OldDir<'i>>,
        path: &TreePath<'_>,
    ) -> Result<Listing<'i>> {
        let old_files = old.and_then(|old| old.files()).unwrap_or_default();
        let old_dirs = old.and_then(|old| old.dirs()).unwrap_or_default();
        let mut listing = Listing { files: Vec::new(), dirs: Vec::new() };
        for entry in dir.sorted_entries()? {
            let entry = named(&entry, path)?;
            let name = entry.name.as_str();
            if entry.kind == FileKind::Directory {
                let found = old_dirs.binary_search_by(|(old, _)| (*old).cmp(name));
                listing.dirs.push((entry.name, found.ok().map(|at| old_dirs[at].1)));
            } else {
                let found = old_files.binary_search_by(|old| old.name.cmp(name));
                listing.files.push((entry, found.ok().map(|at| old_files[at])));
            }
        }
        Ok(listing)
    }

    /// Whether every file is as the index has it.
    fn all_same(&self, dir: &Dir, files: &[OldFile<'_>], path: &TreePath<'_>) -> Result<bool> {
        let same = |file: &OldFile<'_>| -> Result<bool> {
            if !file.identity.is_settled() {
                return Ok(false);
            }
            let Some(stat) = dir.stat_opt(file.name)? else { return Ok(false) };
            self.import.note_link(&stat, &path.child(file.name));
            Ok(Identity::of(&stat) == file.identity && self.has(file.checksum, ObjectType::File)?)
        };
        let all = match files.len() {
            ..SPREAD => files.iter().map(same).try_fold(true, |all, same| Ok(all && same?)),
            _ => files.par_iter().map(same).try_reduce(|| true, |a, b| Ok(a && b)),
        }?;
        if all {
            self.import.note_index_hits(files.len() as u64);
        }
        Ok(all)
    }

    fn files<T: Sync>(
        &self,
        files: &[T],
        see: impl Fn(&T) -> Result<Option<SeenFile>> + Sync + Send,
    ) -> Result<Vec<SeenFile>> {
        let seen: Result<Vec<_>> = match files.len() {
            // Files to be read are large or small; stealing decides.
            ..2 => files.iter().map(see).collect(),
            _ => files.par_iter().map(see).collect(),
        };
        Ok(seen?.into_iter().flatten().collect())
    }

    /// A file that is known to be there, since its directory is unchanged.
    fn known_file(
        &self,
        dir: &Dir,
        old: &OldFile<'_>,
        device: Option<u64>,
        parent: &TreePath<'_>,
    ) -> Result<Option<SeenFile>> {
        let stat = dir.stat(old.name)?;
        let file = Named { name: entry_name(old.name, parent)?, kind: stat.kind() };
        self.seen(dir, &file, &stat, Some(old), device, parent)
    }

    fn seen_file(
        &self,
        dir: &Dir,
        file: &Named,
        old: Option<&OldFile<'_>>,
        device: Option<u64>,
        parent: &TreePath<'_>,
    ) -> Result<Option<SeenFile>> {
        let stat = dir.stat(file.name.as_str())?;
        self.seen(dir, file, &stat, old, device, parent)
    }

    /// The object of a file, from the index or by reading it. Its identity was taken before it
    /// is read: a change after that makes another one.
    fn seen(
        &self,
        dir: &Dir,
        file: &Named,
        stat: &Stat,
        old: Option<&OldFile<'_>>,
        device: Option<u64>,
        parent: &TreePath<'_>,
    ) -> Result<Option<SeenFile>> {
        if let Some(old) = old.filter(|old| old.identity == Identity::of(stat))
            && self.has(old.checksum, ObjectType::File)?
        {
            let path = parent.child(file.name.as_str());
            self.import.note_link(stat, &path);
            if self.import.apply(&path, Attributes::of(stat)).is_none() {
                return Ok(None);
            }
            self.import.note_index_hits(1);
            let (name, identity) = (file.name.clone(), old.identity);
            return Ok(Some(SeenFile { name, identity, checksum: old.checksum }));
        }
        let read = self.import.file(dir, file, parent)?;
        let identity = Identity::settled(stat, self.now, device);
        Ok(read.map(|(name, checksum)| SeenFile { name, identity, checksum }))
    }

    /// Writes the dirtree and makes the record.
    fn finish<'i>(
        &self,
        identity: Identity,
        meta: Checksum,
        files: Vec<SeenFile>,
        dirs: Vec<(EntryName, Walked<'i>)>,
    ) -> Result<Walked<'i>> {
        let file = |file: &SeenFile| FileEntry { name: file.name.clone(), checksum: file.checksum };
        let dir = |(name, walked): &(EntryName, Walked<'i>)| SubdirEntry {
            name: name.clone(),
            tree: walked.id.tree,
            meta: walked.id.meta,
        };
        let tree = DirTree {
            files: files.iter().map(file).collect(),
            dirs: dirs.iter().map(dir).collect(),
        };
        let tree = self.import.transaction.write_metadata(ObjectType::DirTree, &tree.to_bytes())?;
        let id = TreeId { tree, meta };
        let mut record = NewRecord::new(identity, id);
        for file in files {
            record.push_file(file.name.as_str(), &file.identity, &file.checksum);
        }
        for (name, walked) in dirs {
            record.push_dir(name.as_str(), walked.record);
        }
        Ok(Walked { id, record: Record::New(Box::new(record)) })
    }

    fn read_meta(&self, dir: &Dir, attributes: Attributes) -> Result<Checksum> {
        let xattrs = if self.import.drops_xattrs { Vec::new() } else { dir.xattrs()? };
        self.import.write_meta(attributes, Xattrs::of_inode(xattrs))
    }

    fn has(&self, checksum: Checksum, kind: ObjectType) -> Result<bool> {
        Ok(self.complete || self.import.transaction.has_object(&ObjectName::new(checksum, kind))?)
    }
}

/// The device that `dir` is on, if change times tell what changes there.
fn device(dir: &Dir, stat: &Stat, above: Option<u64>) -> Result<Option<u64>> {
    if above == Some(stat.dev) {
        return Ok(above);
    }
    Ok((!dir.space()?.read_only).then_some(stat.dev))
}

fn entry_name(name: &str, parent: &TreePath<'_>) -> Result<EntryName> {
    EntryName::new(name)
        .map_err(|e| crate::RepoError::format(format!("name of {}", parent.child(name)), e))
}
