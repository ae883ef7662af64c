//! Transactions that only tell what would be written.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::name::{CollectionId, Refspec};
use trefoil_format::object::{ObjectName, ObjectType};

use super::import::verify;
use super::stage::Stage;
use super::{ImportMethod, Transaction};
use crate::space::SpaceBudget;
use crate::{Repo, RepoError, Result};

/// A ref that a transaction would move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefMove {
    /// The collection it belongs to, where it is one of a mirror.
    pub collection: Option<CollectionId>,
    /// Its name, below a remote where it is set there.
    pub refspec: Refspec,
    /// What it points to now, `None` where it is new.
    pub from: Option<Checksum>,
    /// What it would point to, `None` where it would be deleted.
    pub to: Option<Checksum>,
}

impl Repo {
    /// Begins a transaction that goes through everything and writes nothing: for plans.
    ///
    /// Checksums, [`Transaction::stats`] and what is refused are those of a transaction of
    /// [`Repo::begin`] that does the same; content is read and hashed. Metadata that would be
    /// written is held in memory. No file of the repository is made, changed or locked, so what
    /// others do meanwhile is not kept out. Not foreseen are failures of writing, among them that
    /// there is no room, and links that the system refuses although the file systems are the
    /// same: those objects would be copied.
    pub fn rehearse(&self) -> Transaction<'_> {
        Transaction::new(self, SpaceBudget::boundless(), None, None)
    }
}

impl Transaction<'_> {
    /// Whether it is one of [`Repo::rehearse`], which writes nothing.
    pub fn is_rehearsal(&self) -> bool {
        self.stage.is_none()
    }

    /// Where objects are written; refused in a rehearsal.
    pub(super) fn stage(&self) -> Result<&Stage> {
        let refused = || RepoError::Refused("a rehearsed transaction writes nothing".to_string());
        self.stage.as_ref().ok_or_else(refused)
    }

    /// The refs that are queued and do not point to where they shall, those of collections last.
    pub(crate) fn ref_moves(&self) -> Result<Vec<RefMove>> {
        let refs = self.refs.lock().expect("no holder panics");
        let mut moves = Vec::new();
        for (refspec, to) in &refs.plain {
            let from = self.repo.resolve_refspec(refspec, false)?;
            moves.push(RefMove { collection: None, refspec: refspec.clone(), from, to: *to });
        }
        let mirrored = match refs.collections.is_empty() {
            true => BTreeMap::new(),
            false => self.repo.list_mirror_refs()?,
        };
        for ((collection, name), to) in &refs.collections {
            let refspec = Refspec { remote: None, name: name.clone() };
            let own = self.repo.config().collection_id.as_deref() == Some(collection.as_str());
            let from = match own {
                true => self.repo.resolve_refspec(&refspec, false)?,
                false => mirrored.get(&(collection.clone(), name.clone())).copied(),
            };
            moves.push(RefMove { collection: Some(collection.clone()), refspec, from, to: *to });
        }
        moves.retain(|one| one.from != one.to);
        Ok(moves)
    }

    pub(super) fn keep(&self, name: &ObjectName, bytes: Vec<u8>) {
        self.kept.lock().expect("no holder panics").insert(*name, bytes);
    }

    /// The bytes of a metadata object that would be staged.
    pub(super) fn kept(&self, name: &ObjectName) -> Result<Vec<u8>> {
        let kept = self.kept.lock().expect("no holder panics").get(name).cloned();
        kept.ok_or(RepoError::ObjectMissing { name: *name })
    }

    /// Counts a file object that would be written. `size` is that of its content in bytes.
    pub(super) fn rehearse_file(
        &self,
        header: &FileHeader,
        checksum: Checksum,
        size: u64,
    ) -> Result<()> {
        self.check_mode(header, &checksum)?;
        self.note_size(checksum, ObjectType::File, size);
        if self.claim(ObjectName::new(checksum, ObjectType::File))? {
            self.count_written(size);
        }
        Ok(())
    }

    /// What [`Transaction::import_object`] would do with an object that is not here. A file that
    /// would be copied from a trusted source is not read.
    pub(super) fn rehearse_import(
        &self,
        from: &Repo,
        name: &ObjectName,
        trusted: bool,
    ) -> Result<ImportMethod> {
        let links = self.can_link(from, name)? && self.reaches(from, name)?;
        if !trusted && (links || name.kind == ObjectType::File) {
            verify(from, name)?;
        }
        match (links, name.kind) {
            (true, kind) => {
                if kind != ObjectType::File {
                    self.keep(name, from.load_metadata(kind, &name.checksum)?);
                }
                self.staged.lock().expect("no holder panics").insert(*name);
                self.counter(kind).fetch_add(1, Relaxed);
                self.count_linked(name);
                return Ok(ImportMethod::Link);
            }
            (false, ObjectType::File) => {
                let object = from.load_file(&name.checksum)?;
                self.counter(name.kind).fetch_add(1, Relaxed);
                self.rehearse_file(&object.header, name.checksum, object.size)?;
            }
            (false, _) => self.import_metadata(from, name)?,
        }
        Ok(ImportMethod::Copy)
    }

    /// Whether the object's file lies in `from` itself and on the file system of this repository.
    fn reaches(&self, from: &Repo, name: &ObjectName) -> Result<bool> {
        match from.objects().stat_opt(&*from.object_path(name))? {
            Some(stat) => Ok(stat.dev == self.repo.dir().stat_self()?.dev),
            None if from.parent().is_none() => Err(RepoError::ObjectMissing { name: *name }),
            None => Ok(false),
        }
    }
}
