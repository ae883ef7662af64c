//! Random edits of random trees, told as whoever made them would tell them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use trefoil_repo::RepoMode;
use trefoil_repo::commit::CommitModifier;

use crate::bench::{Bench, have_ostree, is_root, modes};
use crate::sample::set_xattr;
use crate::told::{full, told};

/// Numbers that are the same in every run (xorshift64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a>(&mut self, from: &'a [PathBuf]) -> Option<&'a PathBuf> {
        let at = self.roll(from.len().max(1) as u64);
        from.get(at as usize)
    }
}

/// A directory that is edited, and what there is to tell of it.
pub struct Edited {
    pub root: PathBuf,
    pub dice: Dice,
    told: BTreeSet<String>,
}

fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

/// Everything at and beneath `path`, it first.
fn walk(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if fs::symlink_metadata(path).is_ok() {
        found.push(path.to_path_buf());
    }
    if is_dir(path) {
        let mut below: Vec<PathBuf> =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
        below.sort();
        found.extend(below.iter().flat_map(|p| walk(p)));
    }
    found
}

fn remove(path: &Path) {
    match is_dir(path) {
        true => fs::remove_dir_all(path).unwrap(),
        false => drop(fs::remove_file(path)),
    }
}

impl Edited {
    /// A new tree in which nothing was told yet.
    pub fn new(root: PathBuf, seed: u64) -> Edited {
        // Small seeds have few bits for the first rolls.
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut edited = Edited { root, dice, told: BTreeSet::new() };
        fs::create_dir(&edited.root).unwrap();
        for i in 0..6 {
            edited.make(&edited.root.join(format!("n{i}")), 0);
        }
        edited.told.clear();
        edited
    }

    /// What was told since the last time.
    pub fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told).into_iter().collect()
    }

    fn tell(&mut self, path: &Path) {
        self.told.insert(path.strip_prefix(&self.root).unwrap().to_str().unwrap().to_string());
    }

    /// Tells of a change at `path`: the path itself or, as a package manager would, all files
    /// and empty directories that were and are beneath it.
    fn tell_change(&mut self, path: &Path, before: &[PathBuf]) {
        let is_parent = |p: &PathBuf, of: &[PathBuf]| of.iter().any(|q| q.parent() == Some(p));
        let after = walk(path);
        let leaves = |of: &[PathBuf]| -> Vec<PathBuf> {
            of.iter().filter(|p| !is_parent(p, of)).cloned().collect()
        };
        if self.dice.roll(2) == 0 {
            self.tell(path);
        } else {
            for leaf in leaves(before).iter().chain(&leaves(&after)) {
                self.tell(leaf);
            }
        }
    }

    /// All names of the file, since all of them change with it.
    fn tell_inode(&mut self, path: &Path) {
        let inode = fs::symlink_metadata(path).unwrap().ino();
        for name in walk(&self.root.clone()) {
            if fs::symlink_metadata(&name).unwrap().ino() == inode {
                self.tell(&name);
            }
        }
    }

    pub fn make(&mut self, path: &Path, depth: u64) {
        match self.dice.roll(if depth < 3 { 5 } else { 4 }) {
            0 => symlink(format!("t{}", self.dice.roll(9)), path).unwrap(),
            4 => {
                fs::create_dir(path).unwrap();
                for i in 0..self.dice.roll(4) {
                    self.make(&path.join(format!("n{i}")), depth + 1);
                }
            }
            size => fs::write(path, vec![b'a' + self.dice.roll(9) as u8; size as usize]).unwrap(),
        }
    }

    pub fn edit(&mut self) {
        let all: Vec<PathBuf> = walk(&self.root).into_iter().skip(1).collect();
        let files: Vec<PathBuf> =
            all.iter().filter(|p| fs::symlink_metadata(p).unwrap().is_file()).cloned().collect();
        let dirs: Vec<PathBuf> = walk(&self.root).into_iter().filter(|p| is_dir(p)).collect();
        let dir = self.dice.pick(&dirs).unwrap().clone();
        let (Some(any), Some(file)) = (self.dice.pick(&all), self.dice.pick(&files)) else {
            let path = dir.join("n0");
            return self.replace(&path);
        };
        match self.dice.roll(10) {
            0 => {
                let size = fs::metadata(file).unwrap().len() as usize;
                fs::write(file, vec![b'A' + self.dice.roll(20) as u8; size]).unwrap();
                self.tell_inode(file);
            }
            1 | 2 => self.attributes(any),
            3 => self.rename(any, &dir),
            4 => {
                let name = dir.join(format!("h{}", self.dice.roll(4)));
                if fs::symlink_metadata(&name).is_err() {
                    fs::hard_link(file, &name).unwrap();
                    self.tell(&name);
                }
            }
            5 => {
                let before = walk(any);
                remove(any);
                self.tell_change(any, &before);
            }
            6 => self.replace(any),
            _ => {
                let name = format!("n{}", self.dice.roll(6));
                self.replace(&dir.join(name));
            }
        }
    }

    /// Puts something else, of whatever kind, where `path` is or was.
    fn replace(&mut self, path: &Path) {
        let before = walk(path);
        remove(path);
        self.make(path, path.components().count() as u64 - self.root.components().count() as u64);
        self.tell_change(path, &before);
    }

    fn rename(&mut self, from: &Path, dir: &Path) {
        let to = dir.join(format!("m{}", self.dice.roll(4)));
        if to.starts_with(from) || from.starts_with(&to) {
            return;
        }
        let (gone, covered) = (walk(from), walk(&to));
        if is_dir(from) || is_dir(&to) {
            remove(&to);
        }
        fs::rename(from, &to).unwrap();
        self.tell_change(from, &gone);
        self.tell_change(&to, &covered);
    }

    fn attributes(&mut self, path: &Path) {
        let (link, dir) = (fs::symlink_metadata(path).unwrap().is_symlink(), is_dir(path));
        match self.dice.roll(3) {
            0 if is_root() => {
                lchown(path, Some(self.dice.roll(9) as u32), Some(7)).unwrap();
            }
            1 if !link => {
                let value = [self.dice.roll(200) as u8];
                set_xattr(
                    path.parent().unwrap(),
                    path.file_name().unwrap().to_str().unwrap(),
                    "user.x",
                    &value,
                );
            }
            _ if !link => {
                let mode = 0o700 + self.dice.roll(0o100) as u32;
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
            _ => return,
        }
        // Directories above a told path are looked at: one that is not there will do.
        if dir && self.dice.roll(2) == 0 {
            self.tell(&path.join("nosuch"))
        } else {
            self.tell_inode(path)
        }
    }
}

fn run(mode: RepoMode, seed: u64, rounds: u64, with_ostree: bool) {
    let bench = Bench::new(mode);
    let mut edited = Edited::new(bench.path("tree"), seed);
    bench.commit(&["tree"], &CommitModifier::default()).unwrap();
    for round in 0..rounds {
        for _ in 0..=edited.dice.roll(6) {
            edited.edit();
        }
        let changes = edited.take_told();
        let expected = full(&bench, &CommitModifier::default());
        let got = told(&bench, &changes, &CommitModifier::default()).unwrap();
        if got.tree != expected && have_ostree() {
            bench.commit(&["tree"], &CommitModifier::default()).unwrap();
            let list = |rev| crate::bench::ostree(&bench.path("ours"), &["ls", "-RCX", rev]);
            assert_eq!(list("main^"), list("main"), "{mode} {seed} {round} {changes:?}");
        }
        assert_eq!(got.tree, expected, "{mode} seed {seed} round {round}: {changes:?}");
        if with_ostree {
            bench.theirs(&["tree"], &[]);
            let list = |name: &str| {
                crate::bench::ostree(&bench.path(name), &["ls", "-d", "-C", "main", "/"])
            };
            assert_eq!(list("ours"), list("theirs"), "{mode} seed {seed} round {round}");
        }
    }
    crate::bench::ostree(&bench.path("ours"), &["fsck", "-q"]);
}

/// Guards that a told commit is the commit of everything, whatever happened in between.
#[test]
fn told_random_edits_give_the_full_checksum() {
    if have_ostree() {
        for (seed, mode) in (1..=16).zip(modes().into_iter().cycle()) {
            run(mode, seed, 12, false);
        }
    }
}

/// Guards the same against `ostree commit`.
#[test]
fn told_random_edits_give_libostrees_checksum() {
    if have_ostree() {
        for (seed, mode) in (101..=104).zip(modes().into_iter().cycle()) {
            run(mode, seed, 5, true);
        }
    }
}
