use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use trefoil_fsat::{Dir, FileKind, Stat};

use super::Result;
use super::diff::{LocalChanges, LocalNode};
use super::overlay::{Node, Overlay, View};
use super::plan::{Clash, ClashKind, Conflict, ConflictKind, Skipped};
use super::scan::open;
use super::sides::{Between, Found, Sides};

/// As many symbolic links as the kernel follows in one path.
const MAX_LINKS: usize = 40;
/// Systemd's stamp file, which a fresh deployment does not have.
const UPDATE_STAMP: &str = ".updated";

/// What stands at a path of the result so far.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Seen {
    Absent,
    Dir,
    Other,
}

/// Why a directory of the local `etc` has no place in the result.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Blocked {
    /// A file is in the way.
    File,
    /// Symbolic links go round in circles.
    Loop,
    /// A symbolic link leads out of `etc`.
    Leaves,
}

impl From<Blocked> for ClashKind {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::File => ClashKind::ParentIsFile,
            Blocked::Loop | Blocked::Leaves => ClashKind::ParentLinkLeaves,
        }
    }
}

/// Goes through libostree's merge step by step, on an overlay over the new defaults instead
/// of on disk; names in ascending order, where libostree takes them as the file system lists
/// them. That matters only where a new default is a link to something the merge itself brings.
pub(crate) struct Simulation<'a> {
    pub(super) between: Between<'a>,
    pub(super) local: Option<&'a Dir>,
    pub(crate) overlay: Overlay,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) clashes: Vec<Clash>,
    pub(crate) skipped: Vec<Skipped>,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(sides: Sides<'a>, local: Option<&'a Dir>) -> Self {
        Simulation {
            between: Between::new(sides),
            local,
            overlay: Overlay::default(),
            conflicts: Vec::new(),
            clashes: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// All removals, then all modifications, then all additions: the order decides where a
    /// path takes part in more than one.
    pub(crate) fn run(&mut self, changes: &LocalChanges) -> Result<()> {
        for path in &changes.removed {
            self.remove(path)?;
            let is_default = self.between.new.find(path)?.is_some();
            if is_default && self.between.changed(path)? {
                self.conflict(path, ConflictKind::LocalRemoved, false);
            }
        }
        for node in &changes.modified {
            self.judge_modified(node)?;
            self.copy(node, true)?;
        }
        for node in &changes.added {
            self.judge_added(node)?;
            // What is in an added directory is listed after it.
            self.copy(node, false)?;
        }
        for node in changes.modified.iter().filter(|n| n.stat.is_dir()) {
            self.judge_reset(node)?;
        }
        self.drop_equal_dirs(changes)
    }

    pub(crate) fn drop_update_stamp(&mut self) -> Result<()> {
        let path = Path::new(UPDATE_STAMP);
        if self.seen(path)? == Seen::Other { self.clear(path) } else { Ok(()) }
    }

    fn seen(&mut self, path: &Path) -> Result<Seen> {
        Ok(match self.overlay.view(path) {
            View::Node(Node::Absent) | View::Hidden => Seen::Absent,
            View::Node(Node::Copy { .. }) => Seen::Other,
            View::Node(Node::Dir { .. }) => Seen::Dir,
            View::Default => match self.between.new.find(path)? {
                None => Seen::Absent,
                Some(Found::Dir(_)) => Seen::Dir,
                Some(Found::Other(_)) => Seen::Other,
            },
        })
    }

    pub(super) fn conflict(&mut self, path: &Path, kind: ConflictKind, identical: bool) {
        self.conflicts.push(Conflict { path: path.to_path_buf(), kind, identical });
    }

    fn clash<T>(&mut self, path: &Path, kind: ClashKind) -> Option<T> {
        self.clashes.push(Clash { path: path.to_path_buf(), kind });
        None
    }

    /// Directory nodes that would set what the default has anyway.
    fn drop_equal_dirs(&mut self, changes: &LocalChanges) -> Result<()> {
        let mut equal = Vec::new();
        for (path, node) in self.overlay.iter() {
            if let Node::Dir { source, before, opaque: false } = node
                && before.is_empty()
            {
                let local = changes.default_dirs.get(source);
                let default = self.between.new.find(path)?.and_then(Found::id);
                if local.is_some() && local.copied() == default {
                    equal.push(path.clone());
                }
            }
        }
        equal.iter().for_each(|path| self.overlay.forget(path));
        Ok(())
    }

    /// Leaves nothing at `path`.
    fn clear(&mut self, path: &Path) -> Result<()> {
        self.overlay.clear(path);
        let visible = self.overlay.view(path) == View::Default;
        if visible && self.between.new.find(path)?.is_some() {
            self.overlay.put(path.to_path_buf(), Node::Absent);
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let parent = match self.resolve(parent)? {
            Ok(parent) => parent,
            // The path is not in `etc` any more; libostree would remove what the link leads to.
            Err(Blocked::Leaves) => return Ok(()),
            Err(blocked) => {
                self.clash::<()>(path, blocked.into());
                return Ok(());
            }
        };
        let place = parent.join(name);
        if self.seen(&place)? == Seen::Absent { Ok(()) } else { self.clear(&place) }
    }

    fn copy(&mut self, node: &LocalNode, walk: bool) -> Result<()> {
        let path = &node.path;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let place = match self.ensure_dir(parent, path)? {
            Some(parent) => parent.join(name),
            None => return Ok(()),
        };
        match self.seen(&place)? {
            Seen::Dir => {
                if !node.stat.is_dir() {
                    self.clash::<()>(path, ClashKind::DefaultsToDirectory);
                }
                return Ok(());
            }
            Seen::Other => self.clear(&place)?,
            Seen::Absent => {}
        }
        let default = matches!(self.between.new.find(&place)?, Some(Found::Other(_)));
        let may_equal = default && (place != *path || self.between.changed(path)?);
        self.put(place.clone(), path, &node.stat, node.id, may_equal);
        if walk && node.stat.is_dir() { self.copy_below(path, &place) } else { Ok(()) }
    }

    fn put(
        &mut self,
        place: PathBuf,
        source: &Path,
        stat: &Stat,
        id: Option<trefoil_format::checksum::Checksum>,
        may_equal_default: bool,
    ) {
        let source = source.to_path_buf();
        match stat.kind() {
            FileKind::Directory => {
                let node = Node::Dir { source, before: Vec::new(), opaque: true };
                self.overlay.put(place, node);
            }
            FileKind::Regular | FileKind::Symlink => {
                let copy = Node::Copy { source, stat: *stat, id, may_equal_default };
                self.overlay.put(place, copy);
            }
            kind => self.skipped.push(Skipped { path: source, kind: kind.word() }),
        }
    }

    /// All that is in a local directory, which is taken over as a whole.
    fn copy_below(&mut self, source: &Path, place: &Path) -> Result<()> {
        let Some(local) = self.local else { return Ok(()) };
        for entry in open(local, source)?.sorted_entries()? {
            let (source, place) = (source.join(&entry.name), place.join(&entry.name));
            let stat = local.stat(&source)?;
            self.put(place.clone(), &source, &stat, None, false);
            if stat.is_dir() {
                self.copy_below(&source, &place)?;
            }
        }
        Ok(())
    }

    /// The place of the local directory `path` in the result, made where it is missing. It
    /// takes the attributes of the local one, and so does the nearest existing directory above
    /// a missing one. `None` after a clash.
    fn ensure_dir(&mut self, path: &Path, blame: &Path) -> Result<Option<PathBuf>> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Some(PathBuf::new()));
        };
        let parent = match self.resolve(above)? {
            Ok(parent) => parent,
            Err(blocked) => return Ok(self.clash(blame, blocked.into())),
        };
        let place = parent.join(name);
        match self.seen(&place)? {
            Seen::Absent => {
                let orphan = self.seen(&parent)? == Seen::Absent;
                if orphan && self.ensure_dir(above, blame)?.is_none() {
                    return Ok(None);
                }
                let source = path.to_path_buf();
                let node = Node::Dir { source, before: Vec::new(), opaque: true };
                self.overlay.put(place.clone(), node);
                Ok(Some(place))
            }
            Seen::Dir => Ok(Some(self.set_attributes(place, path))),
            Seen::Other => {
                let target = match self.resolve(path)? {
                    Ok(target) => target,
                    Err(blocked) => return Ok(self.clash(blame, blocked.into())),
                };
                if self.seen(&target)? != Seen::Dir {
                    return Ok(self.clash(blame, ClashKind::ParentLinkLeaves));
                }
                self.conflict(blame, ConflictKind::ThroughLink, false);
                Ok(Some(self.set_attributes(target, path)))
            }
        }
    }

    fn set_attributes(&mut self, place: PathBuf, source: &Path) -> PathBuf {
        // The attributes of `etc` itself are always the default ones.
        if place.as_os_str().is_empty() {
            return place;
        }
        let (mut before, opaque) = match self.overlay.view(&place) {
            View::Node(Node::Dir { source, before, opaque }) => {
                let given = std::iter::once(source).chain(before);
                (given.cloned().collect(), *opaque)
            }
            view => (Vec::new(), view == View::Hidden),
        };
        before.retain(|given| given != source);
        let node = Node::Dir { source: source.to_path_buf(), before, opaque };
        self.overlay.put(place.clone(), node);
        place
    }

    /// Where the directory `path` leads in the result, symbolic links followed as the kernel
    /// would, as long as they stay in `etc`. What does not exist is passed.
    fn resolve(&mut self, path: &Path) -> Result<std::result::Result<PathBuf, Blocked>> {
        let mut rest: VecDeque<OsString> = path.iter().map(OsStr::to_os_string).collect();
        let mut out = PathBuf::new();
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name.is_empty() || name == "." {
                continue;
            }
            if name == ".." {
                if out.pop() {
                    continue;
                }
                return Ok(Err(Blocked::Leaves));
            }
            out.push(name);
            if self.seen(&out)? != Seen::Other {
                continue;
            }
            let Some(target) = self.link_target(&out)? else {
                return Ok(Err(Blocked::File));
            };
            links += 1;
            if target.starts_with(b"/") {
                return Ok(Err(Blocked::Leaves));
            }
            if links > MAX_LINKS {
                return Ok(Err(Blocked::Loop));
            }
            out.pop();
            let names = target.split(|b| *b == b'/').map(|n| OsStr::from_bytes(n).to_os_string());
            names.rev().for_each(|name| rest.push_front(name));
        }
        Ok(Ok(out))
    }

    fn link_target(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        match (self.overlay.view(path), self.local) {
            (View::Node(Node::Copy { source, stat, .. }), Some(local)) if stat.is_symlink() => {
                Ok(Some(local.read_link(source)?))
            }
            (View::Default, _) => self.between.new.link_target(path),
            _ => Ok(None),
        }
    }
}
