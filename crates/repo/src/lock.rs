use trefoil_fsat::{Lock, LockMode};

use crate::{Repo, RepoError, Result};

const LOCK_FILE: &str = ".lock";

/// The held repository lock, let go when dropped.
///
/// It is libostree's: an OFD lock on `.lock`. Writers of objects hold it shared; deleting
/// objects needs it exclusive. A second lock taken by the same process is a lock of its
/// own, so never ask for the exclusive one while holding the shared one.
#[derive(Debug)]
pub struct RepoLock(#[expect(dead_code, reason = "held for its drop")] Option<Lock>);

impl Repo {
    /// Takes the repository lock and waits for it as long as `core.lock-timeout-secs` says.
    /// With `core.locking=false` it takes none, as libostree.
    pub fn lock(&self, mode: LockMode) -> Result<RepoLock> {
        if !self.config().locking {
            return Ok(RepoLock(None));
        }
        let timeout = self.config().lock_timeout;
        match self.dir().lock(LOCK_FILE, mode, timeout)? {
            Some(lock) => Ok(RepoLock(Some(lock))),
            None => Err(RepoError::Locked {
                mode: match mode {
                    LockMode::Shared => "shared",
                    LockMode::Exclusive => "exclusive",
                },
                path: self.dir().path().join(LOCK_FILE),
                seconds: timeout.as_secs(),
            }),
        }
    }
}
