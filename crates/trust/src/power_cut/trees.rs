//! The operating systems that are committed and deployed, and what a tree on disk is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_testkit::os_tree::OsTree;

use super::random::Random;
use crate::Result;

/// Files of a tree beside the few that every system has.
const FILES: usize = 240;
/// How many of them a version changes.
const CHANGED: usize = 12;
const KERNEL: usize = 300_000;
/// Large enough to be written past the page cache, and not a whole number of pages.
const INITRAMFS: usize = 1_300_000;

/// Path to what lies there: kind, mode, owner, content.
pub type Tree = BTreeMap<String, String>;

/// The versions. Each differs from the one before in files and defaults.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The rollback.
    A,
    /// The one that boots.
    B,
    /// Another kernel.
    C,
    /// The kernel of B.
    D,
    /// What is committed and pulled.
    E,
}

impl Version {
    /// All there are.
    pub const ALL: [Version; 5] = [Version::A, Version::B, Version::C, Version::D, Version::E];

    /// Its ref.
    pub fn branch(self) -> &'static str {
        match self {
            Version::A => "os/a",
            Version::B => "os/b",
            Version::C => "os/c",
            Version::D => "os/d",
            Version::E => "os/e",
        }
    }

    fn number(self) -> usize {
        self as usize
    }

    /// The directory of its tree.
    pub fn dir(self, trees: &Path) -> PathBuf {
        trees.join(self.branch().trim_start_matches("os/"))
    }
}

/// Makes the trees of all versions below `dir`.
pub fn make(dir: &Path) -> Result<()> {
    for version in Version::ALL {
        make_one(&version.dir(dir), version)?;
    }
    Ok(())
}

fn make_one(root: &Path, version: Version) -> Result<()> {
    let tree = OsTree::create(root);
    // What a system needs to run, and to be played by namespaces.
    for name in ["boot", "run", "mnt", "opt"] {
        fs::create_dir(root.join(name))?;
    }
    for name in ["sbin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    let number = version.number();
    let kernel = if version == Version::D { Version::B.number() } else { number };
    let mut random = Random::new(&[1, kernel as u64]);
    let (linux, initramfs) = (random.text(KERNEL), random.text(INITRAMFS));
    tree.set_kernel(&format!("6.{kernel}.0"), &linux, Some(&initramfs));
    for file in 0..FILES {
        let changed = (file % (FILES / CHANGED) == 0).then_some(number);
        let mut random = Random::new(&[2, file as u64, changed.unwrap_or(0) as u64]);
        let len = random.below(9_000) as usize;
        tree.write(&format!("usr/share/d{:02}/f{file:03}", file % 30), &random.text(len));
    }
    tree.write(&format!("usr/lib/new-in-{number}"), "new");
    tree.write("usr/etc/os.conf", &format!("default={number}\n"));
    tree.write("usr/etc/edited.conf", "default\n");
    tree.write("usr/etc/removed.conf", "default\n");
    Ok(())
}

/// Edits an `/etc` as an administrator would.
pub fn edit_etc(etc: &Path) -> Result<()> {
    fs::write(etc.join("edited.conf"), "edited by hand\n")?;
    fs::write(etc.join("added.conf"), "added by hand\n")?;
    Ok(fs::remove_file(etc.join("removed.conf"))?)
}

/// The `/etc` that a version has, with those edits merged into its defaults.
pub fn edited_etc(tree: &Tree) -> Tree {
    let defaults = tree.iter().filter_map(|(path, what)| {
        path.strip_prefix("usr/etc/").map(|path| (path.to_string(), what.clone()))
    });
    let mut etc: Tree = defaults.collect();
    let file = |content: &str| format!("f 644 0:0 {}", Checksum::of(content.as_bytes()).to_hex());
    etc.insert("edited.conf".into(), file("edited by hand\n"));
    etc.insert("added.conf".into(), file("added by hand\n"));
    etc.remove("removed.conf");
    etc
}

/// What lies below `root`, without what `skip` says of paths at its top.
pub fn scan(root: &Path, skip: &[&str]) -> Result<Tree> {
    let mut tree = Tree::new();
    scan_dir(root, "", skip, &mut tree)?;
    Ok(tree)
}

fn scan_dir(dir: &Path, prefix: &str, skip: &[&str], tree: &mut Tree) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if skip.contains(&path.as_str()) {
            continue;
        }
        let meta = entry.metadata()?;
        let owner = format!("{:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
        let what = if meta.is_symlink() {
            format!("l {}", fs::read_link(entry.path())?.display())
        } else if meta.is_dir() {
            scan_dir(&entry.path(), &format!("{path}/"), skip, tree)?;
            format!("d {owner}")
        } else {
            format!("f {owner} {}", hash(&entry.path())?)
        };
        tree.insert(path, what);
    }
    Ok(())
}

/// The checksum of a file's content.
pub fn hash(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Checksum::of(&bytes).to_hex())
}

/// The first path at which two trees differ, in words.
pub fn difference(wanted: &Tree, found: &Tree) -> Option<String> {
    let paths = wanted.keys().chain(found.keys());
    let path = paths.filter(|path| wanted.get(*path) != found.get(*path)).min()?;
    let word = |tree: &Tree| tree.get(path).cloned().unwrap_or_else(|| "nothing".into());
    Some(format!("{path} is `{}` and should be `{}`", word(found), word(wanted)))
}
