//! The tree that both tools commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use trefoil_fsat::{Dir, FileKind, Fs};

use crate::commands::lab::peer::run;
use crate::error::{Context as _, Result};

/// Files of a made up tree in one directory: about what a real one has.
const FILES_IN_DIR: u64 = 8;
/// Files in its `etc`.
const ETC_FILES: u64 = 1_000;

/// Where the most of a made up tree lies.
const BULK: &str = "usr/share";

/// Which tree.
#[derive(Args, Debug)]
pub struct Recipe {
    /// The tree: a directory with usr and etc, which is copied first
    #[arg(long, value_name = "DIR", default_value = "/")]
    tree: PathBuf,
    /// A made up tree of so many files instead
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
}

/// Makes the tree at the new directory `tree` of `parent`.
pub fn make(recipe: &Recipe, parent: &Dir) -> Result<()> {
    parent.mkdir("tree", 0o755)?;
    let tree = parent.open_dir("tree")?;
    for name in ["boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var"] {
        tree.mkdir(name, 0o755)?;
    }
    tree.symlink("sysroot/ostree", "ostree")?;
    match recipe.entries {
        Some(files) => make_up(&tree, files)?,
        None => copy(&recipe.tree, &parent.path().join("tree"))?,
    }
    for link in ["bin", "lib", "lib64", "sbin"] {
        if tree.exists(format!("usr/{link}"))? {
            tree.symlink(format!("usr/{link}"), link)?;
        }
    }
    add_kernel(&tree)
}

/// A plain copy: both tools shall read files that nothing else holds.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut usr = Command::new("cp");
    usr.arg("-a").arg(from.join("usr")).arg(to.join("usr"));
    run(usr).context("copying usr")?;
    let (etc, defaults) = (from.join("etc"), to.join("usr/etc"));
    if !etc.is_dir() || defaults.exists() {
        return Ok(());
    }
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(etc).arg(defaults);
    run(copy).context("copying etc")?;
    Ok(())
}

/// As [`make`], with a made up tree and nothing of a system but that.
pub fn make_of(parent: &Dir, files: u64) -> Result<()> {
    parent.mkdir("tree", 0o755)?;
    fill(&parent.open_dir("tree")?, BULK, files)
}

/// The path of one of the files that [`make_of`] makes.
pub fn file_of(number: u64) -> String {
    let (dir, file) = (number / FILES_IN_DIR, number % FILES_IN_DIR);
    format!("{BULK}/{}/{dir}/file-{file}", dir % 100)
}

fn make_up(tree: &Dir, files: u64) -> Result<()> {
    tree.ensure_dirs("usr/lib", 0o755)?;
    tree.open_dir("usr/lib")?.write("os-release", b"NAME=Bench\nID=bench\n", 0o644)?;
    fill(tree, BULK, files)?;
    fill(tree, "usr/etc", ETC_FILES.min(files))
}

fn fill(tree: &Dir, path: &str, files: u64) -> Result<()> {
    for number in 0..files.div_ceil(FILES_IN_DIR) {
        let dir = format!("{path}/{}/{number}", number % 100);
        tree.ensure_dirs(&dir, 0o755)?;
        let dir = tree.open_dir(&dir)?;
        for file in 0..FILES_IN_DIR.min(files - number * FILES_IN_DIR) {
            let content = format!("{path} {number} {file}\n").repeat(50);
            dir.create_file(format!("file-{file}"), 0o644)?.write_all(content.as_bytes())?;
        }
    }
    Ok(())
}

fn add_kernel(tree: &Dir) -> Result<()> {
    if let Some(modules) = tree.open_dir_opt("usr/lib/modules")? {
        for entry in modules.entries()?.iter().filter(|e| e.kind == FileKind::Directory) {
            if modules.open_dir(&entry.name)?.exists("vmlinuz")? {
                return Ok(());
            }
        }
    }
    tree.ensure_dirs("usr/lib/modules/0.0.0-stand-in", 0o755)?;
    let dir = tree.open_dir("usr/lib/modules/0.0.0-stand-in")?;
    dir.write("vmlinuz", &vec![b'k'; 4 << 20], 0o644)?;
    Ok(dir.write("initramfs.img", &vec![b'i'; 16 << 20], 0o644)?)
}

/// Removes whatever lies at `name` below `parent`.
pub fn remove(parent: &Path, name: &str) -> Result<()> {
    Fs::new().open_dir(parent)?.remove_all(name)?;
    Ok(())
}
