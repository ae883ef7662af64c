use std::time::{Duration, Instant};

use trefoil_fsat::{Dir, Lock, LockMode};

use crate::{Result, SysrootError};

const NAME: &str = "lock";

/// The held sysroot lock. Every change to a sysroot asks for one.
///
/// It is libostree's: an OFD lock on `ostree/lock`, whose file is removed before the lock is
/// let go. So both programs may be used on one machine at once.
#[derive(Debug)]
pub struct SysrootLock {
    ostree: Dir,
    _lock: Lock,
}

impl SysrootLock {
    /// Takes the lock, waiting up to `timeout`.
    ///
    /// The previous holder may have removed the file we locked; then ours guards nothing and
    /// is taken anew.
    pub(crate) fn take(ostree: &Dir, timeout: Duration) -> Result<SysrootLock> {
        let start = Instant::now();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            let Some(lock) = ostree.lock(NAME, LockMode::Exclusive, left)? else {
                return Err(SysrootError::Locked {
                    path: ostree.path().join(NAME),
                    seconds: timeout.as_secs(),
                });
            };
            let ours = lock.stat()?.identity();
            if ostree.stat_opt(NAME)?.is_some_and(|stat| stat.identity() == ours) {
                return Ok(SysrootLock { ostree: ostree.try_clone()?, _lock: lock });
            }
        }
    }
}

impl Drop for SysrootLock {
    fn drop(&mut self) {
        // A file that stays behind locks nobody out.
        let _ = self.ostree.unlink_opt(NAME);
    }
}
