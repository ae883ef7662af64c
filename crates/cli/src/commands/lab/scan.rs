//! What is in a directory that shall become part of a commit, and what has to stay out.

use std::collections::BTreeSet;

use trefoil_fsat::{Dir, FileKind};

use crate::error::Result;

/// Largest file that versions edit, in bytes.
const EDITABLE: u64 = 256 << 10;

/// The inventory of one directory. Paths begin with a slash and are relative to it.
#[derive(Debug, Default)]
pub struct Scan {
    /// Regular files and their sizes.
    pub files: Vec<(String, u64)>,
    /// Symbolic links.
    pub links: Vec<String>,
    /// Directories that hold one to four regular files and nothing else.
    pub leaves: Vec<String>,
    /// Directories, the root among them.
    pub dirs: u64,
    /// What has to stay out: devices, sockets, what may not be read, names that are no text.
    pub unfit: BTreeSet<String>,
    /// Large files that stay out to keep within the bound, and their bytes together.
    pub too_large: (BTreeSet<String>, u64),
    /// Files that stay out to keep their number within bounds.
    pub surplus: BTreeSet<String>,
}

impl Scan {
    /// Looks at everything below `dir`. What may not be read is noted, not an error.
    pub fn of(dir: &Dir, readable: &dyn Fn(&Dir, &str) -> bool) -> Result<Scan> {
        let mut scan = Scan::default();
        scan.directory(dir, "", readable)?;
        Ok(scan)
    }

    fn directory(
        &mut self,
        dir: &Dir,
        path: &str,
        readable: &dyn Fn(&Dir, &str) -> bool,
    ) -> Result<()> {
        let entries = match dir.sorted_entries() {
            Err(e) if e.is_permission() => {
                self.unfit.insert(path.to_string());
                return Ok(());
            }
            entries => entries?,
        };
        self.dirs += 1;
        let mut files = 0;
        for entry in &entries {
            // A list of paths to skip is text: what has no place in it goes with its directory.
            let Some(name) = entry.name.to_str().filter(|n| !n.contains('\n')) else {
                self.unfit.insert(path.to_string());
                continue;
            };
            let child = format!("{path}/{name}");
            match entry.kind {
                FileKind::Regular if readable(dir, name) => {
                    files += 1;
                    self.files.push((child, dir.stat(name)?.size));
                }
                FileKind::Symlink => self.links.push(child),
                FileKind::Directory => match dir.open_dir(name) {
                    Err(e) if e.is_permission() => drop(self.unfit.insert(child)),
                    opened => self.directory(&opened?, &child, readable)?,
                },
                _ => drop(self.unfit.insert(child)),
            }
        }
        if files == entries.len() && (1..=4).contains(&files) {
            self.leaves.push(path.to_string());
        }
        Ok(())
    }

    /// Bytes of all regular files that stay in.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// Files, links and directories that stay in.
    pub fn entries(&self) -> u64 {
        self.dirs + (self.files.len() + self.links.len()) as u64
    }

    /// Leaves the largest files out until the rest has at most `bound` bytes. Kernels stay.
    pub fn limit(&mut self, bound: u64) {
        let mut total = self.bytes();
        self.files.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let (out, bytes) = &mut self.too_large;
        self.files.retain(|(path, size)| {
            if total <= bound || path.starts_with("/lib/modules/") {
                return true;
            }
            total -= size;
            *bytes += size;
            out.insert(path.clone());
            false
        });
        self.files.sort();
    }

    /// Leaves files out, all over the tree, until there are at most `most`. Kernels stay.
    pub fn thin(&mut self, most: usize) {
        let kernel = |path: &str| path.starts_with("/lib/modules/");
        let paths = self.files.iter().map(|(path, _)| path.clone()).filter(|path| !kernel(path));
        self.surplus = spread(paths.collect()).into_iter().skip(most).collect();
        let surplus = &self.surplus;
        self.files.retain(|(path, _)| !surplus.contains(path));
    }

    /// Everything that stays out, a path a line.
    pub fn skip_list(&self) -> String {
        let paths = self.unfit.iter().chain(&self.too_large.0).chain(&self.surplus);
        paths.filter(|path| !path.is_empty()).map(|path| format!("{path}\n")).collect()
    }

    /// Files that a version may edit: not empty, not large, no part of a kernel.
    pub fn editable(&self) -> Vec<String> {
        let fit = |(path, size): &&(String, u64)| {
            (1..=EDITABLE).contains(size) && !path.starts_with("/lib/modules/")
        };
        let hidden = |path: &str| self.unfit.iter().any(|out| below(path, out));
        let unfit = !self.unfit.is_empty();
        let fit = self.files.iter().filter(fit).map(|(path, _)| path.clone());
        fit.filter(|path| !unfit || !hidden(path)).collect()
    }
}

/// Whether `path` is `dir` or lies below it.
pub fn below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A fixed order without neighbours side by side, so that edits are spread over the tree.
pub fn spread(paths: Vec<String>) -> Vec<String> {
    let mut keyed: Vec<(u64, String)> = paths.into_iter().map(|path| (mix(&path), path)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, path)| path).collect()
}

/// FNV-1a: the same on every machine and in every release.
fn mix(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
