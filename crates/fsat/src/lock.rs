use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{Mode, OFlags};

use crate::ops::Op;
use crate::{Dir, File, FsError, Result, Stat};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Whether others may hold the lock too.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Several holders of this mode at once.
    Shared,
    /// One holder.
    Exclusive,
}

/// A held lock on a file; let go when dropped, or when the process ends.
///
/// It is an open-file-description lock (`F_OFD_SETLK`), as libostree takes; `flock` does
/// not exclude libostree.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
    path: PathBuf,
    mode: LockMode,
}

impl Lock {
    /// The mode it is held in.
    pub fn mode(&self) -> LockMode {
        self.mode
    }

    /// The metadata of the locked file, to see whether a name still refers to it.
    pub fn stat(&self) -> Result<Stat> {
        let st = rustix::fs::fstat(&self.fd).map_err(|e| FsError::new("stat", &self.path, e))?;
        Ok(Stat::from_raw(&st))
    }
}

impl Dir {
    /// Takes a lock on `name`, creating the file if need be. Waits up to `timeout` and gives
    /// `None` when another holder kept it that long. A zero timeout tries once.
    pub fn lock(
        &self,
        name: impl AsRef<Path>,
        mode: LockMode,
        timeout: Duration,
    ) -> Result<Option<Lock>> {
        let path = self.path().join(name.as_ref());
        let fd = self.lock_file(name.as_ref())?;
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match try_lock(&fd, mode) {
                Ok(()) => return Ok(Some(Lock { fd, path, mode })),
                Err(nix::Error::EAGAIN | nix::Error::EACCES) => {}
                Err(nix::Error::EINTR) => continue,
                Err(e) => return Err(FsError::new("lock", &path, e)),
            }
            let waited = start.elapsed();
            if waited >= timeout {
                return Ok(None);
            }
            sleep(pause.min(timeout - waited));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Only a lock file that is made is a change.
    fn lock_file(&self, name: &Path) -> Result<OwnedFd> {
        let open = |op, flags| {
            let flags = flags | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let call = || rustix::fs::openat(self.fd(), name, flags, Mode::from_raw_mode(0o660));
            self.fs().run_free(op, || self.path().join(name), call)
        };
        match open(Op::Open, OFlags::empty()) {
            Err(e) if e.is_not_found() => open(Op::Create, OFlags::CREATE),
            opened => opened,
        }
    }
}

impl File {
    /// Takes a lock on `len` bytes from `start` on, which this handle keeps until it is closed.
    /// False where somebody else has one that excludes it. The bytes need not exist; which ones
    /// mean what is the business of the programs that share the file.
    pub fn lock_bytes(&self, start: u32, len: u32, mode: LockMode) -> Result<bool> {
        match fcntl(self.as_fd(), FcntlArg::F_OFD_SETLK(&range(start, len, mode))) {
            Ok(_) => Ok(true),
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
            Err(e) => Err(FsError::new("lock", self.path(), e)),
        }
    }

    /// Whether another handle has any lock on these bytes.
    pub fn has_locked_bytes(&self, start: u32, len: u32) -> Result<bool> {
        let mut found = range(start, len, LockMode::Exclusive);
        fcntl(self.as_fd(), FcntlArg::F_OFD_GETLK(&mut found))
            .map_err(|e| FsError::new("ask for locks on", self.path(), e))?;
        Ok(i32::from(found.l_type) != libc::F_UNLCK)
    }
}

fn try_lock(fd: &OwnedFd, mode: LockMode) -> nix::Result<()> {
    fcntl(fd.as_fd(), FcntlArg::F_OFD_SETLK(&range(0, 0, mode))).map(drop)
}

/// A lock on `len` bytes from `start` on; a length of 0 is all that may ever be there.
fn range(start: u32, len: u32, mode: LockMode) -> libc::flock {
    let kind = match mode {
        LockMode::Shared => libc::F_RDLCK,
        LockMode::Exclusive => libc::F_WRLCK,
    };
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start.into(),
        l_len: len.into(),
        l_pid: 0,
    }
}
