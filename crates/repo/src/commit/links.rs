use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use trefoil_fsat::Stat;

use super::modifier::TreePath;

/// Device and inode.
type Inode = (u64, u64);

/// A name of a file that has several, as an import met it.
#[derive(Debug)]
pub(super) struct LinkNote {
    inode: Inode,
    names: u64,
    /// Without `/` before it.
    pub path: String,
}

/// Gathers such names from all threads of an import.
#[derive(Debug, Default)]
pub(super) struct LinkNotes(Mutex<Vec<LinkNote>>);

impl LinkNotes {
    pub fn note(&self, stat: &Stat, path: &TreePath<'_>) {
        let path = path.to_string().trim_start_matches('/').to_string();
        let note = LinkNote { inode: stat.identity(), names: stat.nlink, path };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    pub fn into_notes(self) -> Vec<LinkNote> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names in a tree of files that have several: one that is written to by one name has
/// changed under all of them, and the kernel tells of one.
#[derive(Debug, Default)]
pub(super) struct Links {
    inodes: HashMap<Inode, Linked>,
    paths: BTreeMap<String, Inode>,
}

#[derive(Debug, Default)]
struct Linked {
    paths: BTreeSet<String>,
    /// Every name in the tree is known: all were met by one walk, or since then each as it came.
    complete: bool,
}

impl Links {
    /// Takes all that a walk of the whole tree met.
    pub fn of_walk(notes: Vec<LinkNote>) -> Links {
        let mut links = Links::default();
        links.add(notes);
        links.inodes.values_mut().for_each(|linked| linked.complete = true);
        links
    }

    /// Other names of the file that is known to have the name `path`. `None` where there may be
    /// more than are known.
    pub fn others(&self, path: &str) -> Option<Vec<String>> {
        let Some(linked) = self.paths.get(path).and_then(|inode| self.inodes.get(inode)) else {
            return Some(Vec::new());
        };
        let others = || linked.paths.iter().filter(|other| *other != path).cloned().collect();
        linked.complete.then(others)
    }

    /// Whether this is one of several names, as far as was met.
    pub fn is_known(&self, path: &str) -> bool {
        self.paths.contains_key(path)
    }

    /// Forgets what is known of names at and beneath `path`; they are to be met again.
    pub fn forget(&mut self, path: &str) {
        let beneath = match path.is_empty() {
            true => String::new()..="\u{10ffff}".to_string(),
            false => format!("{path}/")..=format!("{path}/\u{10ffff}"),
        };
        let mut gone: Vec<String> = self.paths.range(beneath).map(|(p, _)| p.clone()).collect();
        gone.push(path.to_string());
        for path in gone {
            let Some(inode) = self.paths.remove(&path) else { continue };
            if let Some(linked) = self.inodes.get_mut(&inode) {
                linked.paths.remove(&path);
                if linked.paths.is_empty() {
                    self.inodes.remove(&inode);
                }
            }
        }
    }

    /// Adds what an import met.
    pub fn add(&mut self, notes: Vec<LinkNote>) {
        let mut counts = Vec::new();
        for LinkNote { inode, names, path } in notes {
            self.forget_name(&path, inode);
            self.paths.insert(path.clone(), inode);
            self.inodes.entry(inode).or_default().paths.insert(path);
            counts.push((inode, names));
        }
        for (inode, names) in counts {
            if let Some(linked) = self.inodes.get_mut(&inode) {
                linked.complete |= linked.paths.len() as u64 == names;
            }
        }
    }

    /// A name that led to another file leads there no longer.
    fn forget_name(&mut self, path: &str, inode: Inode) {
        if let Some(old) = self.paths.get(path).filter(|old| **old != inode)
            && let Some(linked) = self.inodes.get_mut(old)
        {
            linked.paths.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(ino: u64, names: u64, path: &str) -> LinkNote {
        LinkNote { inode: (1, ino), names, path: path.to_string() }
    }

    /// Guards that all names of a file are told, and that a missing one is noticed.
    #[test]
    fn names_of_a_file_are_found() {
        let mut links = Links::of_walk(vec![note(7, 3, "a"), note(7, 3, "d/b")]);
        assert_eq!(links.others("a"), Some(vec!["d/b".to_string()]));
        assert_eq!(links.others("c"), Some(vec![]));
        links.add(vec![note(8, 2, "e")]);
        assert_eq!(links.others("e"), None, "the other name may be in the tree");
        links.add(vec![note(8, 2, "d/f")]);
        assert_eq!(links.others("e"), Some(vec!["d/f".to_string()]));
        links.forget("d");
        assert_eq!(links.others("a"), Some(vec![]));
        assert_eq!(links.others("d/f"), Some(vec![]));
        links.add(vec![note(9, 2, "a")]);
        assert_eq!(links.others("a"), None);
    }
}
