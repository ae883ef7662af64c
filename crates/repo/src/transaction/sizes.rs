use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use flate2::write::DeflateEncoder;
use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::ArchiveHeader;
use trefoil_format::gvariant::Value;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::sizes::{self, ObjectSize};
use trefoil_fsat::FsError;

use super::Transaction;
use crate::{Content, Repo, RepoMode, Result};

/// The objects of the commit that is being made and their unpacked sizes, once they are asked
/// for.
///
/// Stored sizes are looked up at the end: while objects are written, another thread may still
/// be at the one that is to be measured.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    // Apart from the list, so that commits without sizes do not queue for its lock.
    wanted: AtomicBool,
    noted: Mutex<BTreeMap<Checksum, (ObjectType, u64)>>,
}

impl Sizes {
    fn noted(&self) -> MutexGuard<'_, BTreeMap<Checksum, (ObjectType, u64)>> {
        self.noted.lock().expect("no holder panics")
    }
}

impl Transaction<'_> {
    /// Notes from now on the size of every object that is asked for, for the metadata
    /// `ostree.sizes` of the next commit (`--generate-sizes`). What was noted before is
    /// forgotten: libostree begins anew with every tree that is laid over, so that a commit of
    /// several trees has the sizes of the last one, and of the dirtrees.
    ///
    /// Without effect where the repository is no archive, as in libostree.
    pub fn begin_sizes(&self) {
        if self.repo.mode() == RepoMode::Archive {
            self.sizes.wanted.store(true, Relaxed);
            self.sizes.noted().clear();
        }
    }

    /// Whether sizes are noted: then an object must be noted also where its checksum is known.
    pub(crate) fn wants_sizes(&self) -> bool {
        self.sizes.wanted.load(Relaxed)
    }

    /// Notes an object of the commit that has `unpacked` bytes.
    pub(crate) fn note_size(&self, checksum: Checksum, kind: ObjectType, unpacked: u64) {
        let counts = matches!(kind, ObjectType::File | ObjectType::DirTree | ObjectType::DirMeta);
        if counts && self.wants_sizes() {
            self.sizes.noted().entry(checksum).or_insert((kind, unpacked));
        }
    }

    /// The value of `ostree.sizes`, `None` where there is nothing to tell. The next commit
    /// begins with nothing. A rehearsal packs nothing and knows of none.
    pub(crate) fn take_sizes(&self) -> Result<Option<Value>> {
        let noted: Vec<_> = std::mem::take(&mut *self.sizes.noted()).into_iter().collect();
        if noted.is_empty() || self.is_rehearsal() {
            return Ok(None);
        }
        let measured = noted.into_par_iter().map(|(checksum, (kind, unpacked))| {
            let name = ObjectName::new(checksum, kind);
            let archived = match kind {
                ObjectType::File => self.archived_size(&name)?,
                _ => unpacked,
            };
            Ok(ObjectSize { name, archived, unpacked })
        });
        Ok(Some(sizes::to_value(&measured.collect::<Result<Vec<_>>>()?)))
    }

    /// The size of a file object as this repository, or a parent, stores it. libostree packs
    /// every object again to learn it; what is stored is what a pull will transfer.
    fn archived_size(&self, name: &ObjectName) -> Result<u64> {
        if self.is_staged(name) {
            let stage = self.stage()?;
            return Ok(stage.dir().stat(stage.path_of(name)?)?.size);
        }
        let mut repo = Some(self.repo);
        while let Some(archive) = repo.filter(|repo| repo.mode() == RepoMode::Archive) {
            if let Some(stat) = archive.objects().stat_opt(&*archive.object_path(name))? {
                return Ok(stat.size);
            }
            repo = archive.parent();
        }
        self.packed_size(self.repo, &name.checksum)
    }

    /// What a file object of a parent in another mode would take in this archive.
    fn packed_size(&self, repo: &Repo, checksum: &Checksum) -> Result<u64> {
        let mut file = repo.load_file(checksum)?;
        let frame = ArchiveHeader { size: file.size, header: file.header }.to_bytes().len() as u64;
        if matches!(file.content, Content::None) {
            return Ok(frame);
        }
        let mut deflate = DeflateEncoder::new(Counter(frame), self.compression());
        let packed = io::copy(&mut file.content, &mut deflate).and_then(|_| deflate.finish());
        match packed {
            Ok(Counter(size)) => Ok(size),
            Err(e) => Err(FsError::new("read", format!("object {checksum}"), e).into()),
        }
    }
}

/// Counts what is written and keeps none of it.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
