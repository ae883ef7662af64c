use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::{Change, Changes, Lost, Notifier};
use crate::{Dir, FileKind, FsError, Result};

const MASK: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);
const BUFFER: usize = 64 * 1024;
/// Deeper directories are not watched; no commit takes a tree that has them.
const MAX_DEPTH: usize = 300;

/// One watch for each directory of the tree.
pub(super) struct Inotify {
    fd: OwnedFd,
    root: Dir,
    /// The directories that are watched, by the number of their watch.
    nodes: HashMap<i32, Node>,
    whole: bool,
    /// The number of a rename and the name that went, until the name that came is read.
    moving: Option<(u32, PathBuf)>,
    buffer: Vec<MaybeUninit<u8>>,
}

/// A directory as it was when its watch was set; what moved since is in the queue.
#[derive(Debug, Default)]
struct Node {
    above: Option<(i32, OsString)>,
    dirs: BTreeMap<OsString, i32>,
}

/// An event, taken out of the buffer.
struct Event {
    wd: i32,
    what: ReadFlags,
    cookie: u32,
    name: Option<OsString>,
}

impl Inotify {
    pub fn start(dir: &Dir) -> Result<Inotify> {
        let mut started = Inotify {
            fd: open(dir)?,
            root: dir.try_clone()?,
            nodes: HashMap::new(),
            whole: true,
            moving: None,
            buffer: vec![MaybeUninit::uninit(); BUFFER],
        };
        started.watch_all()?;
        Ok(started)
    }

    /// Watches everything anew: after an overflow nobody knows which directories are there.
    fn restart(&mut self) -> Result<()> {
        self.fd = open(&self.root)?;
        self.nodes.clear();
        self.whole = true;
        self.watch_all()
    }

    fn watch_all(&mut self) -> Result<()> {
        let root = self.root.open_dir(".")?;
        self.watch(None, &root, 0)
    }

    /// Watches a directory and those beneath it. First the watch, then the listing: what is
    /// made in between is in one of the two.
    fn watch(&mut self, above: Option<(i32, &OsStr)>, dir: &Dir, depth: usize) -> Result<()> {
        let path = format!("/proc/self/fd/{}", dir.fd().as_raw_fd());
        let wd = match inotify::add_watch(&self.fd, &path, MASK) {
            Ok(wd) => wd,
            Err(Errno::NOSPC) => {
                self.whole = false;
                return Ok(());
            }
            Err(e) => return Err(FsError::new("watch", dir.path(), e)),
        };
        self.enter(above, wd);
        if depth == MAX_DEPTH {
            return Ok(());
        }
        let entries = match dir.entries() {
            Ok(entries) => entries,
            Err(e) if e.is_not_found() || e.is_permission() => return Ok(()),
            Err(e) => return Err(e),
        };
        for entry in entries {
            if entry.kind == FileKind::Directory {
                self.watch_child(wd, &entry.name, dir, depth + 1)?;
            }
            if !self.whole {
                return Ok(());
            }
        }
        Ok(())
    }

    /// As [`Inotify::watch`]; one that is gone, or may not be opened, is none.
    fn watch_child(&mut self, above: i32, name: &OsStr, dir: &Dir, depth: usize) -> Result<()> {
        match dir.open_dir(name) {
            Ok(sub) => self.watch(Some((above, name)), &sub, depth),
            Err(e) if e.is_not_found() || e.is_not_directory() || e.is_permission() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Notes which directory a watch belongs to. One that was moved here brings its own.
    fn enter(&mut self, above: Option<(i32, &OsStr)>, wd: i32) {
        let known = self.nodes.get(&wd).and_then(|node| node.above.clone());
        if let Some((parent, name)) = known
            && let Some(parent) = self.nodes.get_mut(&parent)
            && parent.dirs.get(&name) == Some(&wd)
        {
            parent.dirs.remove(&name);
        }
        if let Some((parent, name)) = above
            && let Some(parent) = self.nodes.get_mut(&parent)
            && let Some(old) = parent.dirs.insert(name.to_os_string(), wd)
            && old != wd
        {
            self.forget(old);
        }
        let node = self.nodes.entry(wd).or_default();
        node.above = above.map(|(parent, name)| (parent, name.to_os_string()));
    }

    /// Watches a directory and those beneath it no longer.
    fn forget(&mut self, wd: i32) {
        let mut gone = vec![wd];
        while let Some(wd) = gone.pop() {
            if let Some(node) = self.nodes.remove(&wd) {
                gone.extend(node.dirs.into_values());
                // Of a directory that was removed the kernel has dropped it already.
                let _ = inotify::remove_watch(&self.fd, wd);
            }
        }
    }

    fn forget_child(&mut self, parent: i32, name: &OsStr) {
        if let Some(wd) = self.nodes.get_mut(&parent).and_then(|node| node.dirs.remove(name)) {
            self.forget(wd);
        }
    }

    /// Where a watched directory is, as far as we know; `None` where a watch was dropped.
    fn path(&self, mut wd: i32) -> Option<PathBuf> {
        let mut names = Vec::new();
        loop {
            match &self.nodes.get(&wd)?.above {
                None => return Some(names.iter().rev().collect()),
                Some((above, name)) => {
                    names.push(name);
                    wd = *above;
                }
            }
        }
    }

    /// Reads one buffer full of events; `None` where there are none.
    fn read(&mut self) -> Result<Option<Vec<Event>>> {
        let mut events = Vec::new();
        let mut reader = Reader::new(&self.fd, &mut self.buffer);
        loop {
            match reader.next() {
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(e) => return Err(FsError::new("read events of", self.root.path(), e)),
                Ok(event) => events.push(Event {
                    wd: event.wd(),
                    what: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|n| OsStr::from_bytes(n.to_bytes()).to_owned()),
                }),
            }
            if reader.is_buffer_empty() {
                return Ok(Some(events));
            }
        }
    }

    /// False where everything was begun anew, and what is left of the old events means nothing.
    fn note(&mut self, event: &Event, changes: &mut Changes) -> Result<bool> {
        let Event { wd, what, name, .. } = event;
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            changes.lose(Lost::Overflow);
            self.restart()?;
            return Ok(false);
        }
        if what.contains(ReadFlags::IGNORED) {
            self.forget(*wd);
            return Ok(true);
        }
        if what.contains(ReadFlags::UNMOUNT) {
            changes.lose(Lost::Unnamed);
        }
        // A directory that was moved away or removed: its parent was told of.
        let Some(path) = self.path(*wd) else { return Ok(true) };
        let Some(name) = name else {
            if what.contains(ReadFlags::ATTRIB) {
                changes.tell(path, Change::ITSELF);
            }
            return Ok(true);
        };
        self.note_child(event, path, name, changes)?;
        Ok(true)
    }

    fn note_child(
        &mut self,
        event: &Event,
        above: PathBuf,
        name: &OsStr,
        changes: &mut Changes,
    ) -> Result<()> {
        let (wd, what) = (event.wd, event.what);
        let path = above.join(name);
        let came = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if !what.contains(ReadFlags::ISDIR) {
            let written = ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE | ReadFlags::ATTRIB;
            let mut change = Change { written: what.intersects(written), ..Change::NAME };
            if came {
                change.look(&self.root, &path);
            }
            if what.contains(ReadFlags::MOVED_FROM) {
                self.moving = Some((event.cookie, path.clone()));
            } else if let Some((_, from)) = self.moving.take_if(|from| from.0 == event.cookie) {
                change.written = true;
                changes.tell(from, Change { moved_on: true, ..Change::NAME });
            }
            changes.tell(path, change);
            return Ok(());
        }
        if came {
            if let Ok(dir) = self.root.open_dir(non_empty(&above)) {
                self.watch_child(wd, name, &dir, above.components().count() + 1)?;
            }
        } else if what.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
            self.forget_child(wd, name);
        } else {
            // Its own watch tells the same, where it has one.
            changes.tell(path, Change::ITSELF);
            return Ok(());
        }
        // What happened in it before it was watched nobody knows.
        changes.tell(path, Change { written: came, ..Change::NAME });
        Ok(())
    }
}

fn non_empty(path: &std::path::Path) -> &std::path::Path {
    if path.as_os_str().is_empty() { std::path::Path::new(".") } else { path }
}

fn open(dir: &Dir) -> Result<OwnedFd> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|e| FsError::new("watch", dir.path(), e))
}

impl Notifier for Inotify {
    fn name(&self) -> &'static str {
        "inotify"
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn take(&mut self, changes: &mut Changes) -> Result<()> {
        let was_whole = self.whole;
        while let Some(events) = self.read()? {
            for event in events {
                if !self.note(&event, changes)? {
                    break;
                }
            }
        }
        if was_whole && !self.whole {
            changes.lose(Lost::WatchLimit);
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.whole
    }
}
