use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use fanotify_fid::consts::{
    FAN_ATTRIB, FAN_CLASS_NOTIF, FAN_CLOEXEC, FAN_CLOSE_WRITE, FAN_CREATE, FAN_DELETE,
    FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_MODIFY, FAN_NONBLOCK, FAN_ONDIR, FAN_RENAME,
    FAN_REPORT_DIR_FID, FAN_REPORT_NAME,
};
use fanotify_fid::handle::{handle_from_fd, open_by_handle_at};
use fanotify_fid::{FanotifyError, FidEvent};
use rustix::io::Errno;

use super::{Change, Changes, Lost, Notifier};
use crate::{Dir, FsError, Result};

const NAMES: u64 = FAN_CREATE | FAN_DELETE | FAN_RENAME;
const WRITES: u64 = FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB;
const BUFFER: usize = 64 * 1024;
/// How often a handle is opened that may lead somewhere.
const TRIES: u32 = 100;
/// The table of mounts of any machine.
const MOUNTS: u64 = 64 << 20;

/// One mark for the file system the tree is on. The kernel names the directory of an event by
/// a handle, which is turned into a path when the event is read: whatever moved meanwhile has
/// an event of its own, with the new path.
pub(super) struct Fanotify {
    group: fanotify_fid::Fanotify,
    root: Dir,
    buffer: Vec<u8>,
}

/// Where the directory with a handle is.
#[derive(Clone)]
enum Place {
    /// In the tree, at this path.
    Inside(PathBuf),
    /// Elsewhere on the file system, or removed: the event that told so names its parent.
    Outside,
    /// We cannot tell.
    Unknown,
}

impl Fanotify {
    pub fn start(dir: &Dir) -> Result<Fanotify> {
        let failed = |e: FanotifyError| {
            let errno = e.errno().unwrap_or(Errno::INVAL.raw_os_error());
            FsError::new("watch", dir.path(), std::io::Error::from_raw_os_error(errno))
        };
        if has_mounts(dir)? {
            // One mark does not cover them.
            return Err(FsError::new("watch the mounts beneath", dir.path(), Errno::XDEV));
        }
        let flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK;
        let flags = flags | FAN_REPORT_DIR_FID | FAN_REPORT_NAME;
        let group = fanotify_fid::Fanotify::new(flags).map_err(failed)?;
        let mask = NAMES | WRITES | FAN_ONDIR;
        group.mark_fd(dir.fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask).map_err(failed)?;
        // Not every file system can open what its handles name, and not everybody may.
        let handle = handle_from_fd(dir.fd());
        handle
            .and_then(|handle| open_by_handle_at(dir.fd(), &handle))
            .map_err(|e| FsError::new("watch", dir.path(), e))?;
        Ok(Fanotify { group, root: dir.try_clone()?, buffer: Vec::with_capacity(BUFFER) })
    }

    fn note_all(&self, events: &[FidEvent<'_>], changes: &mut Changes) -> Result<()> {
        let root = real_path(self.root.fd())?;
        // Handles that lead somewhere now will do for all events that were read by now.
        let mut places = HashMap::new();
        let mut find = |handle: &[u8], name: &OsStr| -> Place {
            let place =
                places.entry(handle.to_vec()).or_insert_with(|| self.place(handle, &root)).clone();
            match place {
                // Of a directory itself the kernel tells by this name.
                Place::Inside(above) if name == "." => Place::Inside(above),
                Place::Inside(above) => Place::Inside(above.join(name)),
                other => other,
            }
        };
        for event in events {
            if let (Some(from), Some(to)) = (event.rename_source(), event.rename_target()) {
                let from = find(from.handle(), from.name());
                let to = find(to.handle(), to.name());
                self.note_rename(event.mask(), from, to, changes);
            } else if let (false, Some(handle), Some(name)) =
                (event.is_overflow(), event.dfid_name_handle(), event.dfid_name())
            {
                match find(handle, name) {
                    Place::Outside => {}
                    Place::Unknown => changes.lose(Lost::Unnamed),
                    Place::Inside(path) => self.note(event.mask(), path, name == ".", changes),
                }
            } else {
                changes.lose(if event.is_overflow() { Lost::Overflow } else { Lost::Unnamed });
            }
        }
        Ok(())
    }

    fn note(&self, what: u64, path: PathBuf, itself: bool, changes: &mut Changes) {
        let is_dir = what & FAN_ONDIR != 0;
        if itself || (is_dir && what & NAMES == 0) {
            return changes.tell(path, Change::ITSELF);
        }
        let mut change = Change { written: !is_dir && what & WRITES != 0, ..Change::NAME };
        if !is_dir && what & FAN_CREATE != 0 {
            change.look(&self.root, &path);
        }
        changes.tell(path, change);
    }

    /// Both sides of a rename are told in one event, so that what was written to before can be
    /// followed. One that was not in the tree is not followed.
    fn note_rename(&self, what: u64, from: Place, to: Place, changes: &mut Changes) {
        let is_dir = what & FAN_ONDIR != 0;
        let within = matches!((&from, &to), (Place::Inside(_), Place::Inside(_)));
        for (place, came) in [(from, false), (to, true)] {
            match place {
                Place::Outside => {}
                Place::Unknown => changes.lose(Lost::Unnamed),
                Place::Inside(path) => {
                    let mut change = Change::NAME;
                    if came && !is_dir {
                        change.written = within;
                        change.look(&self.root, &path);
                    }
                    change.moved_on = !came && within && !is_dir;
                    changes.tell(path, change);
                }
            }
        }
    }

    fn place(&self, handle: &[u8], root: &Path) -> Place {
        // A directory that is being removed just now may say that memory is short, once.
        let is_passing = |e: &std::io::Error| e.raw_os_error() == Some(Errno::NOMEM.raw_os_error());
        let mut tries = 0;
        let dir = loop {
            match open_by_handle_at(self.root.fd(), handle) {
                Ok(dir) => break dir,
                Err(e) if is_passing(&e) && tries < TRIES => {
                    tries += 1;
                    std::thread::yield_now();
                }
                Err(e) => {
                    let gone = [Errno::STALE, Errno::NOENT].map(|e| Some(e.raw_os_error()));
                    return match gone.contains(&e.raw_os_error()) {
                        true => Place::Outside,
                        false => Place::Unknown,
                    };
                }
            }
        };
        let links = rustix::fs::fstat(&dir).map(|stat| stat.st_nlink);
        let path = real_path(dir.as_fd());
        match (links, path) {
            (Ok(0), _) => Place::Outside,
            (Ok(_), Ok(path)) => match path.strip_prefix(root) {
                Ok(path) => Place::Inside(path.to_path_buf()),
                Err(_) => Place::Outside,
            },
            _ => Place::Unknown,
        }
    }
}

/// The path that a held directory has now.
fn real_path(fd: BorrowedFd<'_>) -> Result<PathBuf> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let path = rustix::fs::readlink(&link, Vec::new());
    let path = path.map_err(|e| FsError::new("read link", link, e))?;
    Ok(OsString::from_vec(path.into_bytes()).into())
}

/// Whether something is mounted beneath `dir`.
fn has_mounts(dir: &Dir) -> Result<bool> {
    let root = real_path(dir.fd())?;
    let table = dir.fs().open_dir("/proc/self")?.read("mountinfo", MOUNTS)?;
    let points = table.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b' ').nth(4));
    let mut beneath = points.map(unescaped).filter(|p| p.starts_with(&root) && *p != root);
    Ok(beneath.next().is_some())
}

/// The table has spaces and the like as `\040`.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            |at: usize| after.get(at).filter(|b| (b'0'..=b'7').contains(b)).map(|b| b - b'0');
        if let (b'\\', Some(a), Some(b), Some(c)) = (first, octal(0), octal(1), octal(2)) {
            bytes.push((a << 6) | (b << 3) | c);
            rest = &after[3..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    OsString::from_vec(bytes).into()
}

impl Notifier for Fanotify {
    fn name(&self) -> &'static str {
        "fanotify"
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }

    fn take(&mut self, changes: &mut Changes) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let taken = loop {
            let events = match self.group.read_events(&mut buffer) {
                Ok(events) => events,
                Err(e) if e.is_would_block() => break Ok(()),
                Err(e) => {
                    break Err(FsError::new(
                        "read events of",
                        self.root.path(),
                        std::io::Error::other(e),
                    ));
                }
            };
            if let Err(e) = self.note_all(&events, changes) {
                break Err(e);
            }
        };
        self.buffer = buffer;
        taken
    }
}

#[cfg(test)]
mod tests {
    /// Guards the names of mount points.
    #[test]
    fn mount_points_are_unescaped() {
        let path = super::unescaped(br"/a\040b\134\011\8/c\04");
        assert_eq!(path.to_str(), Some("/a b\\\t\\8/c\\04"));
    }
}
