//! Writing objects and refs: staged, synced once, renamed into place.
//!
//! Objects are written below `tmp/staging-BOOT-tN/` under their final name. [`Transaction::commit`]
//! syncs the file system once, renames every object to its place, syncs again so that the
//! names are durable before any ref can point at them, and then moves the refs. Dying at any
//! point leaves the refs as they were, or some of the queued refs moved to complete commits;
//! the staging directory of a dead process is removed by the next transaction.
//!
//! A transaction of [`Repo::rehearse`] goes through all of it and writes nothing.

mod adopt;
mod archived;
mod claim;
mod file;
mod folders;
mod import;
mod modes;
mod rehearsal;
mod resume;
mod sizes;
mod stage;
mod stream;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::{CollectionId, RefName, Refspec};
use trefoil_format::object::{MAX_METADATA_SIZE, ObjectName, ObjectType};
use trefoil_fsat::LockMode;

pub(crate) use archived::ArchivedFile;
use claim::Known;
pub use file::FileSource;
pub use import::ImportMethod;
pub use rehearsal::RefMove;
use sizes::Sizes;
use stage::{Leftover, Stage};

use crate::lock::RepoLock;
use crate::space::SpaceBudget;
use crate::{CommitState, Repo, RepoError, Result};

/// What a transaction did; the numbers libostree's `--table-output` shows.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionStats {
    /// Metadata objects that were asked for.
    pub metadata_objects_total: u64,
    /// Metadata objects that were new.
    pub metadata_objects_written: u64,
    /// File objects that were asked for.
    pub content_objects_total: u64,
    /// File objects that were new.
    pub content_objects_written: u64,
    /// Bytes of content of the new file objects, uncompressed.
    pub content_bytes_written: u64,
    /// Files whose object was known by device and inode or from an index, without reading them.
    pub content_cache_hits: u64,
}

#[derive(Debug, Default)]
struct Tally {
    metadata_total: AtomicU64,
    metadata_written: AtomicU64,
    content_total: AtomicU64,
    content_written: AtomicU64,
    content_bytes: AtomicU64,
    cache_hits: AtomicU64,
}

#[derive(Debug, Default)]
struct QueuedRefs {
    plain: BTreeMap<Refspec, Option<Checksum>>,
    collections: BTreeMap<(CollectionId, RefName), Option<Checksum>>,
}

/// Objects and refs on their way into a repository. Dropped without [`Transaction::commit`]
/// it takes back everything.
///
/// It holds the shared repository lock, so that nothing is pruned meanwhile. All methods that
/// take `&self` may be called from several threads.
#[derive(Debug)]
pub struct Transaction<'r> {
    repo: &'r Repo,
    /// None where nothing is to be written.
    stage: Option<Stage>,
    /// Metadata that would be staged, where it is not.
    kept: Mutex<HashMap<ObjectName, Vec<u8>>>,
    budget: SpaceBudget,
    staged: Mutex<HashSet<ObjectName>>,
    refs: Mutex<QueuedRefs>,
    complete: Mutex<Vec<Checksum>>,
    tally: Tally,
    sizes: Sizes,
    known: Known,
    /// Set once blocks could not be shared: the next file would fare no better.
    cannot_clone: AtomicBool,
    // Last, so that it is let go after the staging directory is gone.
    _lock: Option<RepoLock>,
}

impl Repo {
    /// Begins a transaction: takes the shared lock, removes what dead ones left behind, and
    /// makes a staging directory.
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.begin_staged(Leftover::Remove)
    }

    fn begin_staged(&self, leftover: Leftover) -> Result<Transaction<'_>> {
        let lock = self.lock(LockMode::Shared)?;
        let budget = SpaceBudget::new(self)?;
        let stage = Stage::new(self, leftover)?;
        Ok(Transaction::new(self, budget, Some(stage), Some(lock)))
    }
}

impl Repo {
    /// Removes what dead transactions left behind, as [`Repo::begin`] does. What a living one
    /// has stays.
    pub fn remove_abandoned(&self) -> Result<()> {
        match self.dir().open_dir_opt("tmp")? {
            Some(tmp) => stage::remove_abandoned(&tmp, &tmp.entries()?, self.boot_id()),
            None => Ok(()),
        }
    }
}

impl<'r> Transaction<'r> {
    fn new(
        repo: &'r Repo,
        budget: SpaceBudget,
        stage: Option<Stage>,
        lock: Option<RepoLock>,
    ) -> Self {
        Transaction {
            repo,
            stage,
            kept: Mutex::default(),
            budget,
            staged: Mutex::default(),
            refs: Mutex::default(),
            complete: Mutex::default(),
            tally: Tally::default(),
            sizes: Sizes::default(),
            known: Known::default(),
            cannot_clone: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// The repository it writes to.
    pub fn repo(&self) -> &'r Repo {
        self.repo
    }

    /// Writes a metadata object and gives its checksum. The bytes are not looked into.
    pub fn write_metadata(&self, kind: ObjectType, bytes: &[u8]) -> Result<Checksum> {
        let name = ObjectName::new(Checksum::of(bytes), kind);
        self.write_metadata_as(&name, bytes)?;
        Ok(name.checksum)
    }

    /// As [`Transaction::write_metadata`], for bytes whose checksum the caller has reckoned.
    pub(crate) fn write_metadata_as(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let name = *name;
        self.tally.metadata_total.fetch_add(1, Relaxed);
        self.note_size(name.checksum, name.kind, bytes.len() as u64);
        if self.claim(name)? {
            if bytes.len() as u64 > MAX_METADATA_SIZE {
                return Err(RepoError::Refused(format!(
                    "Metadata object {name} is {} bytes, the limit is {MAX_METADATA_SIZE}",
                    bytes.len()
                )));
            }
            self.budget.take(bytes.len() as u64)?;
            self.stage_metadata(&name, bytes)?;
            self.tally.metadata_written.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Writes a commit object, and beside it its detached metadata. A commit that was marked
    /// partial stays so: what it needs may still be missing.
    pub fn write_commit(&self, commit: &Commit, detached: Option<&Metadata>) -> Result<Checksum> {
        let checksum = self.write_metadata(ObjectType::Commit, &commit.to_bytes())?;
        if let Some(detached) = detached {
            self.write_detached(&checksum, detached)?;
        }
        Ok(checksum)
    }

    /// Stages the detached metadata of a commit; it replaces what is there.
    pub fn write_detached(&self, commit: &Checksum, metadata: &Metadata) -> Result<()> {
        self.write_detached_bytes(commit, &metadata.to_bytes())
    }

    /// As [`Transaction::write_detached`], with bytes that come from another repository and are
    /// not looked into.
    pub fn write_detached_bytes(&self, commit: &Checksum, bytes: &[u8]) -> Result<()> {
        let name = ObjectName::new(*commit, ObjectType::CommitMeta);
        if self.staged.lock().expect("no holder panics").insert(name) {
            self.stage_metadata(&name, bytes)?;
        }
        Ok(())
    }

    fn stage_metadata(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        match &self.stage {
            Some(stage) => Ok(stage.create(name)?.write_all(bytes)?),
            None => {
                self.keep(name, bytes.to_vec());
                Ok(())
            }
        }
    }

    /// The bytes of a metadata object in this transaction or the repository.
    pub fn load_metadata(&self, kind: ObjectType, checksum: &Checksum) -> Result<Vec<u8>> {
        let name = ObjectName::new(*checksum, kind);
        if self.is_staged(&name) {
            return match &self.stage {
                Some(stage) => Ok(stage.dir().read(stage.path_of(&name)?, MAX_METADATA_SIZE)?),
                None => self.kept(&name),
            };
        }
        self.repo.load_metadata(kind, checksum)
    }

    /// Queues a ref to be moved, or deleted, when the transaction commits.
    pub fn set_ref(&self, refspec: Refspec, target: Option<Checksum>) {
        self.refs.lock().expect("no holder panics").plain.insert(refspec, target);
    }

    /// Queues a ref of a collection.
    pub fn set_collection_ref(
        &self,
        collection: CollectionId,
        name: RefName,
        target: Option<Checksum>,
    ) {
        let mut refs = self.refs.lock().expect("no holder panics");
        refs.collections.insert((collection, name), target);
    }

    /// Counts files known by device and inode. As in libostree they are not among the objects
    /// that were asked for.
    pub fn note_devino_hits(&self, files: u64) {
        self.tally.cache_hits.fetch_add(files, Relaxed);
    }

    /// Counts files known from an index: without it their objects would be asked for.
    pub fn note_index_hits(&self, files: u64) {
        self.tally.cache_hits.fetch_add(files, Relaxed);
        self.tally.content_total.fetch_add(files, Relaxed);
    }

    /// What was done so far.
    pub fn stats(&self) -> TransactionStats {
        let t = &self.tally;
        TransactionStats {
            metadata_objects_total: t.metadata_total.load(Relaxed),
            metadata_objects_written: t.metadata_written.load(Relaxed),
            content_objects_total: t.content_total.load(Relaxed),
            content_objects_written: t.content_written.load(Relaxed),
            content_bytes_written: t.content_bytes.load(Relaxed),
            content_cache_hits: t.cache_hits.load(Relaxed),
        }
    }

    /// Makes everything durable and visible, objects before refs. With `core.fsync=false`
    /// nothing is synced. A rehearsal ends without any of it.
    pub fn commit(self) -> Result<TransactionStats> {
        let Some(stage) = &self.stage else { return Ok(self.stats()) };
        let staged = std::mem::take(&mut *self.staged.lock().expect("no holder panics"));
        let fsync = self.repo.config().fsync;
        let refs = std::mem::take(&mut *self.refs.lock().expect("no holder panics"));
        if staged.is_empty() {
            self.remove_marks()?;
            for (refspec, target) in &refs.plain {
                self.repo.set_ref(refspec, target.as_ref())?;
            }
        } else {
            if fsync {
                stage.dir().sync_fs()?;
            }
            self.publish(&staged)?;
            self.publish_refs(&refs.plain, fsync)?;
        }
        for ((collection, name), target) in &refs.collections {
            self.repo.set_collection_ref(collection, name, target.as_ref())?;
        }
        stage.done();
        Ok(self.stats())
    }

    /// Makes the names of the objects durable, and then moves the refs. The new files of the
    /// refs are written before, so that the one sync is for them as well; unless one is deleted,
    /// which may have to make way for another.
    fn publish_refs(&self, refs: &BTreeMap<Refspec, Option<Checksum>>, fsync: bool) -> Result<()> {
        let (repo, dir) = (self.repo, self.stage()?.dir());
        let targets: Option<Vec<_>> =
            refs.iter().map(|(r, target)| Some((r, (*target)?))).collect();
        let stage = |(at, (refspec, target)): (usize, (&Refspec, Checksum))| {
            repo.stage_ref(refspec, &target, dir, format!("ref-{at}"))
        };
        let new = targets.map(|t| t.into_iter().enumerate().map(stage).collect::<Result<Vec<_>>>());
        if fsync {
            repo.objects().sync_fs()?;
        }
        self.remove_marks()?;
        let Some(new) = new.transpose()? else {
            return refs.iter().try_for_each(|(r, target)| repo.set_ref(r, target.as_ref()));
        };
        if new.is_empty() {
            return Ok(());
        }
        new.into_iter().try_for_each(|staged| staged.publish(fsync))?;
        repo.touch()
    }

    /// Renames the staged objects into place, folder by folder. Commits come last, so that a
    /// commit that can be seen is complete for readers that hold no lock.
    ///
    /// One thread does it: Linux does one rename from directory to directory at a time, and of
    /// several threads all but one would wait for that, spinning.
    fn publish(&self, staged: &HashSet<ObjectName>) -> Result<()> {
        let (last, mut first): (Vec<ObjectName>, Vec<ObjectName>) =
            staged.iter().copied().partition(|name| name.kind == ObjectType::Commit);
        let folder = |name: &ObjectName| name.checksum.as_bytes()[0];
        first.sort_unstable_by_key(|name| name.checksum);
        let mut own = match self.stage()?.folders() {
            // The folders come with their objects.
            Some(_) => None,
            None => self.repo.objects().own_folders()?,
        };
        let mut folders = first.chunk_by(|a, b| folder(a) == folder(b));
        folders.try_for_each(|names| self.publish_folder(names, &mut own))?;
        last.chunks(1).try_for_each(|name| self.publish_folder(name, &mut own))
    }

    /// Marks a commit as incomplete at once, before its first object can become visible.
    pub fn mark_partial(&self, commit: &Checksum) -> Result<()> {
        if self.is_rehearsal() {
            return Ok(());
        }
        self.repo.set_commit_state(commit, CommitState::Partial)
    }

    /// Says that with this transaction the commit is whole. Its mark goes when all objects are
    /// durable and before any ref is moved: what a ref leads to is never taken for a part.
    pub fn mark_complete(&self, commit: Checksum) {
        self.complete.lock().expect("no holder panics").push(commit);
    }

    fn remove_marks(&self) -> Result<()> {
        let complete = self.complete.lock().expect("no holder panics");
        let mut commits = complete.iter();
        commits.try_for_each(|commit| self.repo.set_commit_state(commit, CommitState::Normal))
    }
}
