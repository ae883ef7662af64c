use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::ops::Op;
use crate::{Dir, FsError, Result};

/// Where util-linux has its program. No maintained crate makes the two calls without `unsafe`
/// of ours; see `docs/decisions/0009-freezing.md`.
const PROGRAMS: [&str; 2] = ["/usr/sbin/fsfreeze", "/sbin/fsfreeze"];
/// The directory, as the program finds it on its standard input.
const TARGET: &str = "/proc/self/fd/0";
const AGAIN: Duration = Duration::from_millis(100);
/// File systems with a journal that a boot loader would have to replay: ext2 to ext4, XFS,
/// btrfs, F2FS, JFS, NILFS2.
const JOURNALLED: [u64; 6] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x3153_464A, 0x3434];

/// How to start the process that thaws a file system where the one that froze it cannot any
/// more. The program is to call [`watch`].
#[derive(Clone, Debug)]
pub struct Watchdog {
    /// The program.
    pub program: PathBuf,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// Freeze nothing, and let the watchdog find that out: for tests.
    pub rehearse: bool,
}

/// What became of a freeze.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// Frozen and thawed again: all that was written is durable, and not only in a journal.
    Done,
    /// Not here: the file system has no journal, or it may not or cannot be frozen. It was
    /// synced.
    Synced,
    /// The watchdog came and went; nothing was frozen or synced.
    Rehearsed,
}

impl Dir {
    /// Freezes and thaws the file system this directory lies on, or syncs it where that is not
    /// possible. On return all that was written before is durable and, where it was frozen,
    /// readable without replaying a journal.
    ///
    /// The watchdog thaws it if this process dies in between, or hangs for too long.
    pub fn freeze_and_thaw(&self, watchdog: &Watchdog) -> Result<Freeze> {
        self.run(Op::Freeze, "", || Ok(()))?;
        let failed = |e: io::Error| FsError::new(Op::Freeze.word(), self.path(), e);
        if watchdog.rehearse {
            Guard::start(self, watchdog).and_then(Guard::await_end).map_err(failed)?;
            return Ok(Freeze::Rehearsed);
        }
        let Some(program) = find_program().filter(|_| self.can_be_frozen()) else {
            return self.sync_fs().map(|()| Freeze::Synced);
        };
        let guard = Guard::start(self, watchdog).map_err(failed)?;
        let frozen = call(program, "--freeze", self.fd()).map_err(failed)?;
        if !frozen.status.success() {
            // Another froze it, a container forbids it: what is left is the sync.
            self.sync_fs()?;
            return guard.dismiss().map(|()| Freeze::Synced).map_err(failed);
        }
        let thawed = call(program, "--unfreeze", self.fd()).map_err(failed)?;
        if !thawed.status.success() && !was_thawed(&thawed) {
            let words = String::from_utf8_lossy(&thawed.stderr).trim().to_string();
            return Err(failed(io::Error::other(words)));
        }
        guard.dismiss().map(|()| Freeze::Done).map_err(failed)
    }

    fn can_be_frozen(&self) -> bool {
        rustix::process::geteuid().is_root()
            && self.kind().is_ok_and(|kind| JOURNALLED.contains(&kind))
    }
}

fn find_program() -> Option<&'static Path> {
    PROGRAMS.iter().map(Path::new).find(|program| program.exists())
}

/// Calls the program on the file system of `dir`.
fn call(program: &Path, action: &str, dir: impl AsFd) -> io::Result<Output> {
    let dir = dir.as_fd().try_clone_to_owned()?;
    Command::new(program).args([action, TARGET]).env("LC_ALL", "C").stdin(dir).output()
}

/// `EINVAL`: it was not frozen any more.
fn was_thawed(output: &Output) -> bool {
    output.stderr.trim_ascii_end().ends_with(b"Invalid argument")
}

/// The watchdog as its parent sees it. Dropped without a word it thaws at once.
struct Guard {
    child: Child,
    link: UnixStream,
}

impl Guard {
    /// Returns when the watchdog has said that it is ready and was told to begin.
    fn start(dir: &Dir, watchdog: &Watchdog) -> io::Result<Guard> {
        let (mut link, theirs) = UnixStream::pair()?;
        let child = Command::new(&watchdog.program)
            .args(&watchdog.arguments)
            .stdin(OwnedFd::from(theirs))
            .stdout(dir.fd().try_clone_to_owned()?)
            // What a terminal interrupts is us, not the watchdog.
            .process_group(0)
            .spawn()?;
        let mut ready = [0];
        link.read_exact(&mut ready)?;
        link.write_all(&ready)?;
        Ok(Guard { child, link })
    }

    /// All went well.
    fn dismiss(mut self) -> io::Result<()> {
        // A watchdog that lost its patience is gone already.
        let _ = self.link.write_all(b"!");
        self.await_end()
    }

    fn await_end(mut self) -> io::Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the watchdog ended with {status}")))
        }
    }
}

/// The work of a watchdog process: standard input is its parent, standard output a directory
/// on the file system to thaw. The caller has seen to it that signals to end are held back.
/// True where it had to try to thaw.
pub fn watch(patience: Duration) -> io::Result<bool> {
    let mut parent = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    parent.write_all(b"!")?;
    let mut word = [0];
    parent.read_exact(&mut word)?;
    parent.set_read_timeout(Some(patience))?;
    let alone = match parent.read(&mut word) {
        Ok(0) => true,
        Ok(_) => return Ok(false),
        Err(_) => false,
    };
    let Some(program) = find_program() else { return Ok(true) };
    let started = Instant::now();
    loop {
        let thawed = call(program, "--unfreeze", io::stdout())?;
        // What an orphaned freeze began may come to pass after its parent died.
        if !alone || thawed.status.success() || started.elapsed() > patience {
            return Ok(true);
        }
        sleep(AGAIN);
    }
}
