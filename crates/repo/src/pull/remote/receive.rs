use std::sync::{Arc, Mutex};

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::error::FormatError;
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::Metadata;
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};

use super::PullSource;
use crate::delta::{
    DeltaIndex, DeltaName, DeltaPlan, Limits, apply_part, index_path, patch_part, plan_delta,
    read_superblock,
};
use crate::pull::beside::{Needs, TreeAt};
use crate::pull::paths::refuse_unsafe_mode;
use crate::pull::transport::{Body, read_body};
use crate::pull::{Outcome, PullError, PullOptions};
use crate::transaction::ArchivedFile;
use crate::{RepoError, RepoMode, Transaction};

/// Something to be fetched, or to be done with what is here.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Commit(Checksum),
    Detached(Checksum),
    Tombstone(Checksum),
    Tree(TreeAt),
    Meta(Checksum),
    File(Checksum),
    /// The list of deltas to a commit.
    DeltaIndex(Checksum),
    /// What a delta consists of, and its checksum where it is known.
    Superblock {
        name: DeltaName,
        digest: Option<Checksum>,
    },
    /// One part of a delta.
    Part {
        plan: Arc<DeltaPlan>,
        index: usize,
    },
    /// The directories of such a part, out of those that are here.
    Patch {
        plan: Arc<DeltaPlan>,
        index: usize,
    },
}

impl Job {
    /// The file of the remote it is about.
    pub fn path(&self) -> String {
        match self {
            Job::DeltaIndex(commit) => index_path(commit),
            Job::Superblock { name, .. } => name.superblock_path(),
            Job::Part { plan, index } | Job::Patch { plan, index } => {
                plan.superblock.name.part_path(*index)
            }
            _ => format!("objects/{}", &*LoosePath::new(&self.object(), true)),
        }
    }

    /// The object it is about; of a delta the commit it leads to.
    pub fn object(&self) -> ObjectName {
        let (checksum, kind) = match self {
            Job::DeltaIndex(commit) => (commit, ObjectType::Commit),
            Job::Superblock { name, .. } => (&name.to, ObjectType::Commit),
            Job::Part { plan, .. } | Job::Patch { plan, .. } => {
                (&plan.superblock.name.to, ObjectType::Commit)
            }
            Job::Commit(checksum) => (checksum, ObjectType::Commit),
            Job::Detached(checksum) => (checksum, ObjectType::CommitMeta),
            Job::Tombstone(checksum) => (checksum, ObjectType::TombstoneCommit),
            Job::Tree(at) => (&at.tree, ObjectType::DirTree),
            Job::Meta(checksum) => (checksum, ObjectType::DirMeta),
            Job::File(checksum) => (checksum, ObjectType::File),
        };
        ObjectName::new(*checksum, kind)
    }
}

/// What a worker is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Verify and write what came in.
    Receive(Job, Body),
    /// Look into a directory that is here.
    Scan(TreeAt),
    /// Apply a part of a delta that came with its superblock.
    Inline(Job, Vec<u8>),
    /// Do without a part of a delta.
    Patch(Arc<DeltaPlan>, usize),
    /// Bring an object over from a repository on this machine, by its place in the list.
    Import(Job, usize),
}

/// Where an object is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    Cache(usize),
    Remote,
}

/// What came of a task.
#[derive(Debug)]
pub(super) enum Work {
    /// A file, the metadata of a directory or a tombstone is here.
    Done,
    /// A commit that fits its name, not yet written.
    Commit(Vec<u8>, Box<Commit>),
    /// A commit was brought over; this is its detached metadata.
    ImportedCommit(Option<Metadata>),
    /// The detached metadata of a commit.
    Detached(Option<Metadata>),
    /// A directory is here, and needs these.
    Level(Level),
    /// The deltas to a commit.
    DeltaIndex(DeltaIndex),
    /// What of a delta is needed.
    Plan(Box<DeltaPlan>),
    /// It cannot be done without this part of a delta.
    PartNeeded,
}

/// What a directory refers to, the whole commit does not have in the same place, and is not
/// here. Directories are listed even where they are here: what they need may not be.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub files: Vec<(Checksum, Place)>,
    pub metas: Vec<(Checksum, Place)>,
    pub below: Vec<(TreeAt, Place)>,
}

/// Verifies and writes what comes in. Shared by the workers.
pub(super) struct Receive<'a> {
    pub txn: &'a Transaction<'a>,
    pub source: &'a PullSource<'a>,
    pub options: &'a PullOptions,
    /// Held while a large metadata object is in memory: one at a time.
    pub large: Mutex<()>,
}

impl Receive<'_> {
    pub fn work(&self, task: Task) -> Outcome<Work> {
        match task {
            Task::Receive(Job::File(checksum), body) => self.file(&checksum, body),
            // A part grows when it is unpacked: one at a time.
            Task::Receive(job @ Job::Part { .. }, body) => {
                let _one = self.large.lock().unwrap_or_else(|e| e.into_inner());
                let bytes = read_body(&job.path(), body)?;
                self.part(&job, &bytes)
            }
            Task::Inline(job, bytes) => {
                let _one = self.large.lock().unwrap_or_else(|e| e.into_inner());
                self.part(&job, &bytes)
            }
            Task::Patch(plan, index) => {
                let _one = self.large.lock().unwrap_or_else(|e| e.into_inner());
                match patch_part(self.txn, &plan, index)? {
                    true => Ok(Work::Done),
                    false => Ok(Work::PartNeeded),
                }
            }
            Task::Receive(job, body @ Body::Stream(_)) => {
                let _one = self.large.lock().unwrap_or_else(|e| e.into_inner());
                self.metadata(job, body)
            }
            Task::Receive(job, body) => self.metadata(job, body),
            Task::Scan(at) => {
                let bytes = self.txn.load_metadata(ObjectType::DirTree, &at.tree)?;
                let needs = self.needs(&at, &bytes).map_err(|source| {
                    let name = ObjectName::new(at.tree, ObjectType::DirTree);
                    let source = Box::new(RepoError::Corrupt { name, source });
                    PullError::Dirtree { checksum: at.tree, path: at.path.clone(), source }
                })?;
                self.level(needs).map(Work::Level)
            }
            Task::Import(job, cache) => self.import(job, cache),
        }
    }

    fn metadata(&self, job: Job, body: Body) -> Outcome<Work> {
        let name = job.object();
        let bytes = read_body(&name.to_string(), body)?;
        let invalid = |source: FormatError| PullError::Metadata { name, source };
        match job {
            // An empty file says that there are none any more.
            Job::Detached(_) if bytes.is_empty() => Ok(Work::Detached(Some(Metadata::default()))),
            Job::Detached(_) => match Metadata::parse(&bytes) {
                Ok(metadata) => Ok(Work::Detached(Some(metadata))),
                Err(e) if self.options.verifier.as_ref().is_some_and(|v| v.wants_commit()) => {
                    Err(invalid(e))
                }
                // Broken signatures that nobody asked for are none.
                Err(_) => Ok(Work::Detached(None)),
            },
            Job::Commit(_) => {
                verify(&name, &bytes)?;
                let commit = Commit::parse(&bytes).map_err(invalid)?;
                Ok(Work::Commit(bytes, Box::new(commit)))
            }
            Job::Tree(at) => {
                verify(&name, &bytes)?;
                let needs = self.needs(&at, &bytes).map_err(invalid)?;
                self.txn.write_metadata_as(&name, &bytes)?;
                drop(bytes);
                self.level(needs).map(Work::Level)
            }
            Job::Meta(_) => {
                verify(&name, &bytes)?;
                DirMeta::parse(&bytes).map_err(invalid)?;
                self.txn.write_metadata_as(&name, &bytes)?;
                Ok(Work::Done)
            }
            Job::DeltaIndex(_) => {
                Ok(Work::DeltaIndex(DeltaIndex::parse(&bytes).map_err(RepoError::from)?))
            }
            Job::Superblock { name, digest } => self.superblock(&name, digest, &bytes),
            Job::Tombstone(_) | Job::File(_) | Job::Part { .. } | Job::Patch { .. } => {
                Ok(Work::Done)
            }
        }
    }

    /// The signatures around a superblock are for those who apply it without a remote: here its
    /// commit is verified, and every object by its checksum.
    fn superblock(
        &self,
        name: &DeltaName,
        digest: Option<Checksum>,
        bytes: &[u8],
    ) -> Outcome<Work> {
        let refused = |what: String| Err(RepoError::Refused(what).into());
        match digest {
            Some(digest) if digest != Checksum::of(bytes) => {
                return refused(format!("Invalid checksum for static delta {name}"));
            }
            None if self.options.verifier.as_ref().is_some_and(|v| v.wants_summary()) => {
                return refused(format!("static delta {name} is not in the signed summary"));
            }
            _ => {}
        }
        let (superblock, _) = read_superblock(bytes)?;
        if superblock.name != *name {
            let found = superblock.name;
            return refused(format!("Static delta {name} says that it is {found}"));
        }
        Ok(Work::Plan(Box::new(plan_delta(self.txn, superblock)?)))
    }

    fn part(&self, job: &Job, bytes: &[u8]) -> Outcome<Work> {
        let Job::Part { plan, index } = job else { return Ok(Work::Done) };
        let header = &plan.superblock.parts[*index];
        apply_part(self.txn, header, bytes, &Limits::default()).map_err(|source| {
            let (delta, index) = (plan.superblock.name, *index);
            PullError::Part { delta, index, source: Box::new(source) }
        })?;
        Ok(Work::Done)
    }

    fn file(&self, checksum: &Checksum, body: Body) -> Outcome<Work> {
        match body {
            Body::Whole(bytes) => self.archived(checksum, &mut bytes.as_slice())?,
            Body::Stream(mut stream) => self.archived(checksum, &mut stream)?,
        }
        Ok(Work::Done)
    }

    fn archived(&self, checksum: &Checksum, bytes: &mut dyn std::io::Read) -> Outcome<()> {
        let object = ArchivedFile { checksum: *checksum, bytes };
        let as_it_is = self.source.http_trusted
            && self.options.mirror
            && !self.options.bareuseronly_files
            && self.txn.repo().mode() == RepoMode::Archive;
        if as_it_is {
            return Ok(self.txn.write_archived_unverified(object)?);
        }
        let check = |header: &FileHeader| match self.options.bareuseronly_files {
            true => refuse_unsafe_mode(checksum, header),
            false => Ok(()),
        };
        Ok(self.txn.write_archived(object, check)?)
    }

    fn import(&self, job: Job, cache: usize) -> Outcome<Work> {
        let from = &self.source.localcache[cache];
        let name = job.object();
        if name.kind == ObjectType::File && self.options.bareuseronly_files {
            refuse_unsafe_mode(&name.checksum, &from.load_file(&name.checksum)?.header)?;
        }
        if let Job::Commit(checksum) = &job {
            self.txn.mark_partial(checksum)?;
        }
        self.txn.import_object(from, &name, self.source.http_trusted)?;
        match job {
            Job::Commit(checksum) => Ok(Work::ImportedCommit(from.load_detached(&checksum)?)),
            Job::Tree(at) => self.work(Task::Scan(at)),
            _ => Ok(Work::Done),
        }
    }

    /// Where an object can be had.
    pub fn place(&self, name: &ObjectName) -> Outcome<Place> {
        if self.txn.has_object(name)? {
            return Ok(Place::Here);
        }
        for (i, repo) in self.source.localcache.iter().enumerate() {
            if repo.has_object(name)? {
                return Ok(Place::Cache(i));
            }
        }
        Ok(Place::Remote)
    }

    fn needs(&self, at: &TreeAt, bytes: &[u8]) -> Result<Needs, FormatError> {
        at.needs(self.txn.repo(), &self.options.subdirs, bytes)
    }

    /// Looks where what is needed can be had, and leaves out the files and metadata that are here.
    fn level(&self, needs: Needs) -> Outcome<Level> {
        let absent = |checksums: Vec<Checksum>, kind| -> Outcome<Vec<(Checksum, Place)>> {
            let place = |c| Ok((c, self.place(&ObjectName::new(c, kind))?));
            let here = |found: &Outcome<(Checksum, Place)>| matches!(found, Ok((_, Place::Here)));
            checksums.into_iter().map(place).filter(|found| !here(found)).collect()
        };
        let below = needs.below.into_iter().map(|at| {
            let place = self.place(&ObjectName::new(at.tree, ObjectType::DirTree))?;
            Ok((at, place))
        });
        Ok(Level {
            below: below.collect::<Outcome<_>>()?,
            files: absent(needs.files, ObjectType::File)?,
            metas: absent(needs.metas, ObjectType::DirMeta)?,
        })
    }
}

fn verify(name: &ObjectName, bytes: &[u8]) -> Outcome<()> {
    let actual = Checksum::of(bytes);
    match actual == name.checksum {
        true => Ok(()),
        false => Err(RepoError::ChecksumMismatch {
            kind: name.kind.suffix(),
            expected: name.checksum,
            actual,
        }
        .into()),
    }
}
