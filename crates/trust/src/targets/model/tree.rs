//! The model of a directory tree, and the same on a file system.

#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const NAMES: [&str; 4] = ["a", "b", "cc", "\u{e9}"];

/// What is at a path. Directories are there by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File { content: Vec<u8>, executable: bool },
    Link(String),
    Dir,
}

/// Everything in a directory, by path.
pub type Tree = BTreeMap<String, Node>;

/// One of a few dozen paths, of up to three names.
pub fn path(number: u8) -> String {
    let depth = usize::from(number >> 6).clamp(1, 3);
    let name = |level: usize| NAMES[usize::from(number >> (2 * level)) % NAMES.len()];
    (0..depth).map(name).collect::<Vec<_>>().join("/")
}

fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Puts a node into the tree and on disk, unless something that is no directory stands in the
/// way or a directory stands in its place. Gives the first path that was not there.
pub fn put(tree: &mut Tree, root: &Path, path: &str, node: Node) -> Option<String> {
    let blocked = above(path).any(|dir| tree.get(dir).is_some_and(|node| *node != Node::Dir));
    if blocked
        || tree.get(path) == Some(&Node::Dir)
        || (node == Node::Dir && tree.contains_key(path))
    {
        return None;
    }
    let dirs: Vec<String> = above(path).map(str::to_string).collect();
    let mut first = None;
    for dir in dirs {
        if tree.insert(dir.clone(), Node::Dir).is_none() {
            make(root, &dir, &Node::Dir);
            first.get_or_insert(dir);
        }
    }
    make(root, path, &node);
    tree.insert(path.to_string(), node);
    Some(first.unwrap_or_else(|| path.to_string()))
}

fn make(root: &Path, path: &str, node: &Node) {
    let at = root.join(path);
    let _ = fs::remove_file(&at);
    match node {
        Node::Dir => fs::create_dir(&at).expect("a directory"),
        Node::Link(target) => symlink(target, &at).expect("a link"),
        Node::File { content, executable } => {
            fs::write(&at, content).expect("a file");
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(&at, Permissions::from_mode(mode)).expect("a mode");
        }
    }
}

/// Takes a path out of the tree and off the disk, with all beneath it. Whether it was there.
pub fn remove(tree: &mut Tree, root: &Path, path: &str) -> bool {
    let at = root.join(path);
    match tree.remove(path) {
        None => return false,
        Some(Node::Dir) => fs::remove_dir_all(at).expect("a directory"),
        Some(_) => fs::remove_file(at).expect("a file"),
    }
    let beneath = format!("{path}/");
    tree.retain(|other, _| !other.starts_with(&beneath));
    true
}

/// The tree that lies in a directory.
pub fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![String::new()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(root.join(&dir)).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name of ours");
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            let meta = entry.metadata().expect("metadata");
            let node = if meta.is_dir() {
                waiting.push(path.clone());
                Node::Dir
            } else if meta.is_symlink() {
                let target = fs::read_link(entry.path()).expect("a link");
                Node::Link(target.into_os_string().into_string().expect("a target of ours"))
            } else {
                let content = fs::read(entry.path()).expect("a file");
                Node::File { content, executable: meta.permissions().mode() & 0o100 != 0 }
            };
            tree.insert(path, node);
        }
    }
    tree
}
