use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use trefoil_format::object::ObjectName;
use trefoil_fsat::{Dir, DirEntry, File, Lock, LockMode};

use super::folders::Folders;
use crate::{Repo, RepoError, Result};

/// libostree's names below `tmp/`, and its lock file beside each: it removes those of an earlier
/// boot and reuses those of this one, unless they are locked.
const PREFIX: &str = "staging-";
const LOCK_SUFFIX: &str = "-lock";
/// The mode of metadata, and of content in an archive.
const OBJECT_MODE: u32 = 0o644;
/// What has a life of its own below `tmp`.
const CACHE: &str = "cache";
/// Simultaneous transactions on one repository; the limit only bounds the search for a name.
const MOST: u32 = 1000;

/// A staging directory, locked while its process lives.
///
/// `tmp/staging-BOOT-tN-lock` is locked before `tmp/staging-BOOT-tN/` is made and goes after it,
/// so a directory whose lock can be had belongs to nobody. That of a pull has a `p` for the `t`.
#[derive(Debug)]
pub(super) struct Stage {
    tmp: Dir,
    dir: Dir,
    name: String,
    folders: Option<Folders>,
    temps: AtomicU64,
    made: OnceLock<Made>,
    takes_direct_writes: OnceLock<bool>,
    keep: AtomicBool,
    _lock: Lock,
}

/// What happens to a staging directory whose transaction does not come to its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// It goes, with the transaction or with the next one.
    Remove,
    /// It stays for the next transaction of its kind, in the same boot.
    Keep,
}

impl Leftover {
    fn letter(self) -> char {
        match self {
            Leftover::Remove => 't',
            Leftover::Keep => 'p',
        }
    }
}

/// What a file is that was just created in a staging directory: one look at the first tells.
#[derive(Copy, Clone, Debug)]
struct Made {
    /// The mask of the process takes bits away.
    masked: bool,
    owner: (u32, u32),
}

impl Stage {
    pub fn new(repo: &Repo, leftover: Leftover) -> Result<Stage> {
        let boot_id = repo.boot_id();
        let tmp = open_tmp(repo)?;
        let listed = tmp.entries()?;
        remove_abandoned(&tmp, &listed, boot_id)?;
        let prefix = format!("{PREFIX}{boot_id}-{}", leftover.letter());
        for number in 0..MOST {
            let name = format!("{prefix}{number:05}");
            let Some(lock) = take_lock(&tmp, &name)? else { continue };
            // Of one that died since we looked.
            if !tmp.ensure_dir(&name, 0o700)? && leftover == Leftover::Remove {
                tmp.remove_all(&name)?;
                tmp.mkdir(&name, 0o700)?;
            }
            let dir = tmp.open_dir(&name)?;
            remove_expired(&tmp, &listed, repo.config().tmp_expiry)?;
            // What may be gone on with lies flat: by then the repository may have objects.
            let folders = match leftover {
                Leftover::Remove => Folders::of(repo)?,
                Leftover::Keep => None,
            };
            return Ok(Stage {
                tmp,
                dir,
                name,
                folders,
                temps: AtomicU64::new(0),
                made: OnceLock::new(),
                takes_direct_writes: OnceLock::new(),
                keep: AtomicBool::new(leftover == Leftover::Keep),
                _lock: lock,
            });
        }
        Err(RepoError::Refused(format!(
            "{} has {MOST} transactions under way",
            tmp.path().display()
        )))
    }

    /// The directory objects are written in.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Says that everything was moved to its place: there is nothing to keep.
    pub fn done(&self) {
        self.keep.store(false, Relaxed);
    }

    /// The folders objects are staged in, if the repository had no objects when the transaction
    /// began.
    pub fn folders(&self) -> Option<&Folders> {
        self.folders.as_ref()
    }

    /// The path of a staged object, its folder made.
    pub fn path_of(&self, name: &ObjectName) -> Result<String> {
        let folded = self.folders.as_ref().map(|folders| folders.path_of(&self.dir, name));
        Ok(folded.transpose()?.flatten().unwrap_or_else(|| name.to_string()))
    }

    /// A name for content whose checksum is not known yet.
    pub fn temp_name(&self) -> String {
        format!("stream-{}", self.temps.fetch_add(1, Relaxed))
    }

    /// Creates the file of a metadata or regular content object.
    pub fn create(&self, name: &ObjectName) -> Result<File> {
        let file = self.dir.create_file(self.path_of(name)?, OBJECT_MODE)?;
        // Objects are for every reader of the repository, whatever the mask of this process.
        let masked = match self.made.get() {
            Some(made) => made.masked,
            None => {
                let stat = file.stat()?;
                let masked = stat.mode & 0o7777 != OBJECT_MODE;
                self.made.get_or_init(|| Made { masked, owner: (stat.uid, stat.gid) }).masked
            }
        };
        if masked {
            file.set_mode(OBJECT_MODE)?;
        }
        Ok(file)
    }

    /// As [`Dir::takes_direct_writes`], asked once.
    pub fn takes_direct_writes(&self) -> Result<bool> {
        match self.takes_direct_writes.get() {
            Some(known) => Ok(*known),
            None => {
                let asked = self.dir.takes_direct_writes()?;
                Ok(*self.takes_direct_writes.get_or_init(|| asked))
            }
        }
    }

    /// Whether a file has this owner when it is created here.
    pub fn gives_owner(&self, uid: u32, gid: u32) -> bool {
        self.made.get().is_some_and(|made| made.owner == (uid, gid))
    }

    /// Whether a regular file has this mode when it is created here, setuid bits among it.
    pub fn gives_mode(&self, mode: u32) -> bool {
        self.made.get().is_some_and(|made| !made.masked) && mode & 0o7777 == OBJECT_MODE
    }
}

impl Drop for Stage {
    /// What cannot be removed here is removed by the next transaction.
    fn drop(&mut self) {
        // It is empty when all went well. Of one that is kept only an empty one goes.
        let emptied = self.tmp.rmdir(&self.name).is_ok();
        if !emptied && self.keep.load(Relaxed) {
            return;
        }
        if emptied || self.tmp.remove_all(&self.name).is_ok() {
            let _ = self.tmp.unlink_opt(format!("{}{LOCK_SUFFIX}", self.name));
        }
    }
}

fn open_tmp(repo: &Repo) -> Result<Dir> {
    if let Some(tmp) = repo.dir().open_dir_opt("tmp")? {
        return Ok(tmp);
    }
    repo.dir().ensure_dir("tmp", 0o775)?;
    Ok(repo.dir().open_dir("tmp")?)
}

/// Takes the lock of a staging name, `None` if a living process has it. The lock file may be
/// unlinked by its last holder between our opening and locking it: then the lock is on a file
/// that nobody else can find, and worth nothing.
fn take_lock(tmp: &Dir, name: &str) -> Result<Option<Lock>> {
    let file = format!("{name}{LOCK_SUFFIX}");
    let Some(lock) = tmp.lock(&file, LockMode::Exclusive, Duration::ZERO)? else {
        return Ok(None);
    };
    let same = tmp.stat_opt(&file)?.map(|stat| stat.identity()) == Some(lock.stat()?.identity());
    Ok(same.then_some(lock))
}

/// Removes what dead transactions left behind: ours, and those of earlier boots. What may be gone
/// on with in this boot stays: what pulls left behind, and what libostree did. Directories of the
/// latter may have lost their lock file.
pub(super) fn remove_abandoned(tmp: &Dir, listed: &[DirEntry], boot_id: &str) -> Result<()> {
    let this_boot = format!("{PREFIX}{boot_id}-");
    for entry in listed {
        let Some(name) = entry.name.to_str() else { continue };
        let name = name.strip_suffix(LOCK_SUFFIX).unwrap_or(name);
        let ours = |rest: &str| {
            let digits = rest.strip_prefix('t').unwrap_or_default();
            digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !name.starts_with(PREFIX) || name.strip_prefix(&this_boot).is_some_and(|r| !ours(r)) {
            continue;
        }
        if let Some(_lock) = take_lock(tmp, name)? {
            tmp.remove_all(name)?;
            tmp.unlink_opt(format!("{name}{LOCK_SUFFIX}"))?;
        }
    }
    Ok(())
}

/// Removes what lies in `tmp` for longer than it may and is no staging directory: temporary files
/// of writers that died, of whatever program. The time now is that of the file system, which
/// has just made a name in `tmp`. What counts is the last change of any kind: a link to an
/// object that somebody made right now has the old times of the object. What came after `listed`
/// was read is not old.
fn remove_expired(tmp: &Dir, listed: &[DirEntry], expiry: Duration) -> Result<()> {
    let mut oldest = tmp.stat_self()?.mtime;
    oldest.sec = oldest.sec.saturating_sub_unsigned(expiry.as_secs());
    for entry in listed {
        let name = entry.name.to_string_lossy();
        if name == CACHE || name.starts_with(PREFIX) {
            continue;
        }
        if tmp.stat_opt(&entry.name)?.is_some_and(|stat| stat.ctime < oldest) {
            match tmp.remove_all(&entry.name) {
                // Another transaction was faster.
                Err(e) if e.is_not_found() => {}
                removed => drop(removed?),
            }
        }
    }
    Ok(())
}
