//! `--tree=tar`: what is read from an archive, on its way into the repository.

use std::io::Read;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::xattrs::Xattrs;

use super::archive_path::ArchivePath;
use super::archive_tree::{Applier, Placed, Ready};
use super::import::{Import, ImportStats};
use super::modifier::{Attributes, CommitModifier, TreePath};
use crate::archive::{Archive, Entry, EntryKind};
use crate::checkout::WHITEOUT;
use crate::deep::on_deep_stacks;
use crate::{FileSource, MutableTree, RepoError, RepoMode, Result, Transaction};

/// Files up to this size are read into memory and written by another thread.
const SMALL: u64 = 1 << 20;
/// What is read before it is handed on. Two of these are in memory at a time.
const BATCH_BYTES: u64 = 16 << 20;
const BATCH_ENTRIES: usize = 4096;
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;

/// Changes a path of the archive, relative and without `.` before it (`--tar-pathname-filter`).
pub type TranslatePath<'a> = &'a (dyn Fn(&str) -> Result<String> + Sync);

/// How an archive becomes part of a tree.
#[derive(Copy, Clone)]
pub struct ArchiveOptions<'a> {
    /// `--tar-autocreate-parents`: directories that no entry describes are made, owned by the
    /// owner of the entry that needs them, with mode 0755. As in libostree this sets the
    /// metadata of every directory above such an entry, those that exist included.
    pub autocreate_parents: bool,
    /// What the paths of entries and of the targets of hard links become.
    pub translate: Option<TranslatePath<'a>>,
    /// The holes of sparse files, in bytes, that the archive may have in all. They take no room
    /// in the archive, but all of it in an object.
    pub max_hole_bytes: u64,
}

impl Default for ArchiveOptions<'_> {
    fn default() -> Self {
        ArchiveOptions { autocreate_parents: false, translate: None, max_hole_bytes: 64 << 30 }
    }
}

/// Lays an archive over `tree`: tar (old, ustar, pax, GNU) or cpio (`newc`, `odc`), packed with
/// gzip, xz, zstd, bzip2 or not at all, as its content tells.
///
/// It is read once, from its start to its end. Only directories on the way to an entry are read
/// from the repository or written, so that the cost is that of the archive. Content is hashed
/// and written as it comes, small files on all cores; memory is bounded, whatever the archive
/// says of itself. As in libostree paths are taken from the root, however they are written, and
/// one with `..` in it is refused; a directory on the way may not be a symbolic link; the last
/// of several entries with one path wins; hard links may stand before what they link to;
/// devices, pipes and sockets are refused; extended attributes are those of pax records. With
/// [`CommitModifier::whiteouts`] an archive hides what was in `tree` before, never what is in
/// itself, wherever in it the whiteout stands.
///
/// # Errors
/// [`RepoError::Archive`] and [`RepoError::ArchiveRead`] for a damaged archive,
/// [`RepoError::Refused`] for one that a tree cannot hold. `tree` is not to be used then.
pub fn import_archive(
    transaction: &Transaction<'_>,
    source: &mut (dyn Read + Send),
    tree: &mut MutableTree,
    modifier: &CommitModifier,
    options: &ArchiveOptions<'_>,
) -> Result<ImportStats> {
    let mut import = Import::new(transaction, modifier);
    // Canonical permissions alone leave the attributes of an archive, as in libostree.
    import.drops_xattrs = modifier.skip_xattrs || import.mode == RepoMode::BareUserOnly;
    let reader = Reader { import, options: *options };
    on_deep_stacks(|| reader.run(source, tree))?;
    Ok(reader.import.stats())
}

struct Reader<'a> {
    import: Import<'a>,
    options: ArchiveOptions<'a>,
}

/// An entry that was read, and what is still to be written for it.
struct Item {
    path: ArchivePath,
    owner: (u32, u32),
    what: What,
}

enum What {
    Placed(Placed),
    File(Pending),
    HardLink(ArchivePath, Option<Pending>),
}

/// A file object to be written.
enum Pending {
    Written(Checksum),
    Content(FileHeader, Vec<u8>),
}

impl Reader<'_> {
    /// Reads one batch while the one before is written.
    fn run(&self, source: &mut (dyn Read + Send), tree: &mut MutableTree) -> Result<()> {
        let mut archive = Archive::open(source, self.options.max_hole_bytes)?;
        let mut applier = Applier::new(&self.import, self.options.autocreate_parents);
        let mut batch = self.read_batch(&mut archive)?;
        while !batch.is_empty() {
            let (written, next) =
                rayon::join(|| self.write_batch(batch), || self.read_batch(&mut archive));
            for ready in written? {
                applier.add(tree, ready)?;
            }
            batch = next?;
        }
        applier.finish(tree)
    }

    fn read_batch(&self, archive: &mut Archive<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && items.len() < BATCH_ENTRIES {
            let Some(entry) = archive.next_entry()? else { break };
            let attributes = entry.xattrs.iter().map(|(name, value)| name.len() + value.len());
            bytes += entry.size.min(SMALL) + (attributes.sum::<usize>() + entry.path.len()) as u64;
            items.extend(self.item(archive, entry)?);
        }
        Ok(items)
    }

    /// What becomes of one entry; `None` where it is left out.
    fn item(&self, archive: &mut Archive<'_>, entry: Entry) -> Result<Option<Item>> {
        let path = self.path(&entry.path)?;
        let owner = (entry.uid, entry.gid);
        let item = |what| Ok(Some(Item { path: path.clone(), owner, what }));
        if self.import.modifier.whiteouts
            && matches!(entry.kind, EntryKind::File | EntryKind::HardLink(_))
            && path.name().is_some_and(|name| name.starts_with(WHITEOUT))
        {
            return item(What::Placed(Placed::Whiteout));
        }
        let kind = match &entry.kind {
            EntryKind::File | EntryKind::HardLink(_) => S_IFREG,
            EntryKind::Directory => S_IFDIR,
            EntryKind::Symlink(_) => S_IFLNK,
            EntryKind::Other(what) => {
                return Err(RepoError::Refused(format!(
                    "Unsupported file type for path \"{path}\": it is a {what}"
                )));
            }
        };
        let old = Attributes { uid: entry.uid, gid: entry.gid, mode: kind | entry.mode };
        let Some(mut new) = self.import.apply(&path.in_tree(&TreePath::ROOT), old) else {
            return Ok(None);
        };
        let tally = &self.import.tally;
        let xattrs = match self.import.drops_xattrs {
            true => Xattrs::default(),
            false => Xattrs::of_inode(entry.xattrs),
        };
        match entry.kind {
            EntryKind::Directory => {
                tally.dirs.fetch_add(1, Relaxed);
                item(What::Placed(Placed::Dir(self.import.write_meta(new, xattrs)?)))
            }
            EntryKind::Symlink(target) => {
                tally.symlinks.fetch_add(1, Relaxed);
                // The inode that will be the object cannot have another mode.
                if matches!(self.import.mode, RepoMode::Bare | RepoMode::BareUserOnly) {
                    new.mode = S_IFLNK | 0o777;
                }
                let header = new.header(Some(link_target(&path, target)?), xattrs);
                item(What::File(Pending::Content(header, Vec::new())))
            }
            EntryKind::HardLink(target) => {
                let content = match entry.size {
                    0 => None,
                    size => Some(self.content(archive, new.header(None, xattrs), size)?),
                };
                item(What::HardLink(self.path(&target)?, content))
            }
            EntryKind::File | EntryKind::Other(_) => {
                tally.files.fetch_add(1, Relaxed);
                let content = self.content(archive, new.header(None, xattrs), entry.size)?;
                item(What::File(content))
            }
        }
    }

    fn path(&self, bytes: &[u8]) -> Result<ArchivePath> {
        let path = ArchivePath::new(bytes)?;
        let Some(translate) = self.options.translate else { return Ok(path) };
        // As in libostree a filter sees the slash that directories have at their end.
        let slash = if bytes.ends_with(b"/") && !path.as_str().is_empty() { "/" } else { "" };
        ArchivePath::new(translate(&format!("{path}{slash}", path = path.as_str()))?.as_bytes())
    }

    /// Reads small content, and writes what is larger at once.
    fn content(&self, archive: &mut Archive<'_>, header: FileHeader, size: u64) -> Result<Pending> {
        if size > SMALL {
            let source = FileSource::Read(archive);
            return Ok(Pending::Written(self.import.transaction.write_file(&header, source)?));
        }
        let mut bytes = Vec::new();
        let read = archive.read_to_end(&mut bytes);
        read.map_err(|source| RepoError::ArchiveRead { at: archive.at(), source })?;
        Ok(Pending::Content(header, bytes))
    }

    fn write_batch(&self, items: Vec<Item>) -> Result<Vec<Ready>> {
        let write = |Item { path, owner, what }| {
            let placed = match what {
                What::Placed(placed) => placed,
                What::File(pending) => Placed::File(self.write(pending)?),
                What::HardLink(target, content) => {
                    Placed::HardLink(target, content.map(|c| self.write(c)).transpose()?)
                }
            };
            Ok(Ready { path, owner, placed })
        };
        items.into_par_iter().map(write).collect()
    }

    fn write(&self, pending: Pending) -> Result<Checksum> {
        match pending {
            Pending::Written(checksum) => Ok(checksum),
            Pending::Content(header, bytes) => {
                let source = match bytes.is_empty() {
                    true => FileSource::Empty,
                    false => FileSource::Bytes(&bytes),
                };
                self.import.transaction.write_file(&header, source)
            }
        }
    }
}

fn link_target(path: &ArchivePath, target: Vec<u8>) -> Result<String> {
    let problem = match String::from_utf8(target) {
        Ok(target) if target.is_empty() => "has no target",
        Ok(target) if target.contains('\0') => "has a NUL in its target",
        Ok(target) => return Ok(target),
        Err(_) => "has a target that is not UTF-8",
    };
    Err(RepoError::Refused(format!("Symlink entry {problem}: {path}")))
}
