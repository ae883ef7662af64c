//! Small trees: operations that change them, and a picture to compare them by.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use trefoil_fsat::{Dir, Fs};

/// Files made by an operation are older than this, so a kept time can be told from a new one.
const OLD: u64 = 1_000_000_000;
const RECENT: i64 = 1_500_000_000;

/// One change of a tree. Paths are relative; what is in the way is removed, links are not
/// followed.
#[derive(Clone, Debug)]
pub enum Op {
    File(String, u8, u32),
    Link(String, String),
    Dir(String, u32),
    Remove(String),
    Chmod(String, u32),
    Chown(String, u32),
    Xattr(String, u8),
    Fifo(String),
}

impl Op {
    pub fn apply(&self, root: &Path) {
        match self {
            Op::File(path, content, mode) => {
                let path = clear(root, path);
                fs::write(&path, vec![b'x'; usize::from(*content)]).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(OLD + u64::from(*content));
                fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            }
            Op::Link(path, target) => symlink(target, clear(root, path)).unwrap(),
            Op::Dir(path, mode) => {
                let path = clear(root, path);
                fs::create_dir(&path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Op::Remove(path) => remove(&root.join(path)),
            Op::Chmod(path, mode) => on_plain(root, path, |path| {
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
            }),
            Op::Chown(path, uid) => on_plain(root, path, |path| {
                lchown(path, Some(*uid), Some(*uid)).unwrap();
            }),
            Op::Xattr(path, value) => on_plain(root, path, |path| set_xattr(path, *value)),
            Op::Fifo(path) => {
                let path = clear(root, path);
                assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
            }
        }
    }
}

pub fn dir(path: &Path) -> Dir {
    Fs::new().open_dir(path).unwrap()
}

fn set_xattr(path: &Path, value: u8) {
    if path.is_dir() {
        dir(path).set_xattr(b"user.t", &[b'0' + value]).unwrap();
    } else {
        let parent = dir(path.parent().unwrap());
        let file = parent.open_file(path.file_name().unwrap()).unwrap();
        file.set_xattr(b"user.t", &[b'0' + value]).unwrap();
    }
}

/// Runs `change` where a regular file or directory is found without following a link.
fn on_plain(root: &Path, path: &str, change: impl FnOnce(&Path)) {
    let mut at = root.to_path_buf();
    for name in path.split('/') {
        at.push(name);
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_file() || meta.is_dir() => {}
            _ => return,
        }
    }
    change(&at);
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Makes room for a new node, directories above it included.
fn clear(root: &Path, path: &str) -> PathBuf {
    let mut at = root.to_path_buf();
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    for parent in parents.split('/').filter(|p| !p.is_empty()) {
        at.push(parent);
        if !fs::symlink_metadata(&at).is_ok_and(|m| m.is_dir()) {
            remove(&at);
            fs::create_dir(&at).unwrap();
        }
    }
    at.push(name);
    remove(&at);
    at
}

/// All of a tree that a merge must get right, one line for each path.
pub fn picture(root: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    out.insert(String::new(), line(root));
    walk(root, root, &mut out);
    out
}

fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        out.insert(name, line(&path));
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            walk(root, &path, out);
        }
    }
}

fn line(path: &Path) -> String {
    let meta = fs::symlink_metadata(path).unwrap();
    let head = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
    let parent = dir(path.parent().unwrap());
    let mut xattrs = parent.xattrs_of(path.file_name().unwrap()).unwrap();
    xattrs.sort();
    let rest = if meta.is_symlink() {
        format!("-> {:?}", fs::read_link(path).unwrap())
    } else if meta.is_file() {
        let kept = if meta.mtime() < RECENT { meta.mtime() } else { -1 };
        format!("{:?} links {} time {kept}", fs::read(path).unwrap(), meta.nlink())
    } else {
        String::new()
    };
    format!("{head} {xattrs:?} {rest}")
}
