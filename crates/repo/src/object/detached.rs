use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_format::object::{MAX_METADATA_SIZE, ObjectName, ObjectType};

use crate::{Repo, RepoError, Result};

/// What the mark beside a commit says about its completeness.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CommitState {
    /// No mark: all objects should be there.
    Normal,
    /// Some objects were never fetched (`state/CHECKSUM.commitpartial`).
    Partial,
    /// `fsck` found objects missing or broken and marked the commit (`f` in that file).
    PartialFsck,
}

impl CommitState {
    /// Whether objects may be missing.
    pub fn is_partial(self) -> bool {
        self != CommitState::Normal
    }
}

fn mark_path(checksum: &Checksum) -> String {
    format!("state/{checksum}.commitpartial")
}

impl Repo {
    /// Whether a commit is marked as incomplete. A commit of the parent repository counts as
    /// complete here, as in libostree.
    pub fn commit_state(&self, checksum: &Checksum) -> Result<CommitState> {
        Ok(match self.dir().read_opt(mark_path(checksum), 1)? {
            None => CommitState::Normal,
            Some(mark) if mark == b"f" => CommitState::PartialFsck,
            Some(_) => CommitState::Partial,
        })
    }

    /// Sets or removes the mark. The file alone is written; the caller syncs with what the
    /// mark is about.
    pub fn set_commit_state(&self, checksum: &Checksum, state: CommitState) -> Result<()> {
        let content: &[u8] = match state {
            CommitState::Normal => {
                self.dir().unlink_opt(mark_path(checksum))?;
                return Ok(());
            }
            CommitState::Partial => b"",
            CommitState::PartialFsck => b"f",
        };
        self.dir().ensure_dir("state", 0o775)?;
        let state_dir = self.dir().open_dir("state")?;
        self.replace_file(&state_dir, &format!("{checksum}.commitpartial"), content, false)
    }

    /// The metadata that lies beside a commit and is not part of its checksum: signatures.
    pub fn load_detached(&self, checksum: &Checksum) -> Result<Option<Metadata>> {
        let name = ObjectName::new(*checksum, ObjectType::CommitMeta);
        match self.load_detached_bytes(checksum)? {
            None => Ok(None),
            Some(bytes) if bytes.is_empty() => Ok(None),
            Some(bytes) => Metadata::parse(&bytes)
                .map(Some)
                .map_err(|source| RepoError::Corrupt { name, source }),
        }
    }

    /// The same as it is stored, whatever it holds. Empty bytes say that there was some once.
    pub fn load_detached_bytes(&self, checksum: &Checksum) -> Result<Option<Vec<u8>>> {
        let name = ObjectName::new(*checksum, ObjectType::CommitMeta);
        let bytes = self.objects().read_opt(&*self.object_path(&name), MAX_METADATA_SIZE)?;
        match (bytes, self.parent()) {
            (None, Some(parent)) => parent.load_detached_bytes(checksum),
            (bytes, _) => Ok(bytes),
        }
    }

    /// Replaces or removes the metadata beside a commit, durably where the repository syncs.
    /// Metadata that is empty leaves an empty file, as in libostree: one who pulls learns from it
    /// that what was there is gone.
    pub fn write_detached(&self, checksum: &Checksum, metadata: Option<&Metadata>) -> Result<()> {
        let name = ObjectName::new(*checksum, ObjectType::CommitMeta);
        let path = self.object_path(&name);
        let (prefix, file) = path.split_at(2);
        let file = &file[1..];
        self.objects().ensure_dir(prefix, 0o775)?;
        let dir = self.objects().open_dir(prefix)?;
        match metadata {
            None => {
                dir.unlink_opt(file)?;
            }
            Some(metadata) => {
                self.replace_file(&dir, file, &metadata.to_bytes(), self.config().fsync)?;
            }
        }
        Ok(())
    }
}
