//! Everything about a tree on disk that two checkouts must agree in.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use trefoil_fsat::{Dir, FileKind, Fs, Stat};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    kind: FileKind,
    mode: u32,
    uid: u32,
    gid: u32,
    rdev: u64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Of a file its content, of a symbolic link its target.
    content: Vec<u8>,
    /// Whether the modification time is 0. Any other is that of the checkout.
    time_zero: bool,
    /// The object, or file of the uncompressed cache, that it is a link to.
    object: Option<PathBuf>,
}

pub type Snapshot = BTreeMap<PathBuf, Node>;

/// What is at `path`, itself included.
pub fn snapshot(repo: &Path, path: &Path) -> Snapshot {
    let fs = Fs::new();
    let mut objects = HashMap::new();
    for name in ["objects", "uncompressed-objects-cache"] {
        if repo.join(name).exists() {
            index(&fs.open_dir(repo.join(name)).unwrap(), Path::new(name), &mut objects);
        }
    }
    let mut out = Snapshot::new();
    let parent = fs.open_dir(path.parent().unwrap()).unwrap();
    let name = Path::new(path.file_name().unwrap());
    if parent.exists(name).unwrap() {
        add(&parent, name, Path::new("/"), &objects, &mut out);
    }
    out
}

/// Takes owner and attributes out of symbolic links that are no links to objects.
pub fn forget_owner_of_links(snapshot: &mut Snapshot) {
    let links = |node: &&mut Node| node.kind == FileKind::Symlink && node.object.is_none();
    for node in snapshot.values_mut().filter(links) {
        (node.uid, node.gid, node.xattrs) = (0, 0, Vec::new());
    }
}

/// Panics with the first path in which two snapshots differ.
#[track_caller]
pub fn assert_same(theirs: &Snapshot, ours: &Snapshot, what: &str) {
    for path in theirs.keys().chain(ours.keys()) {
        assert_eq!(theirs.get(path), ours.get(path), "{what}: {} (left is ostree)", path.display());
    }
}

fn index(dir: &Dir, path: &Path, out: &mut HashMap<(u64, u64), PathBuf>) {
    for entry in dir.entries().unwrap() {
        let path = path.join(&entry.name);
        if entry.kind == FileKind::Directory {
            index(&dir.open_dir(&entry.name).unwrap(), &path, out);
        } else {
            out.insert(dir.stat(&entry.name).unwrap().identity(), path);
        }
    }
}

fn add(
    dir: &Dir,
    name: &Path,
    path: &Path,
    objects: &HashMap<(u64, u64), PathBuf>,
    out: &mut Snapshot,
) {
    let stat = dir.stat(name).unwrap();
    out.insert(path.to_path_buf(), node(dir, name, &stat, objects));
    if stat.is_dir() {
        let inner = dir.open_dir(name).unwrap();
        for entry in inner.entries().unwrap() {
            add(&inner, Path::new(&entry.name), &path.join(&entry.name), objects, out);
        }
    }
}

fn node(dir: &Dir, name: &Path, stat: &Stat, objects: &HashMap<(u64, u64), PathBuf>) -> Node {
    let content = match stat.kind() {
        FileKind::Regular => dir.read(name, 1 << 30).unwrap(),
        FileKind::Symlink => dir.read_link(name).unwrap(),
        _ => Vec::new(),
    };
    let mut xattrs = dir.xattrs_of(name).unwrap();
    xattrs.sort();
    Node {
        kind: stat.kind(),
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        rdev: stat.rdev,
        xattrs,
        content,
        time_zero: stat.mtime.sec == 0,
        object: objects.get(&stat.identity()).cloned(),
    }
}
