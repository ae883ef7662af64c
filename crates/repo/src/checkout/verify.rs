//! Whether a directory is still the checkout it is said to be.

use std::collections::BTreeMap;
use std::ffi::OsString;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, DirEntry, FileKind};

use super::{Checkout, CheckoutMode, CheckoutOptions};
use crate::local_file::{Canonical, checksum_local};
use crate::lookup::parse_dirtree;
use crate::{Repo, RepoMode, Result, TreeId};

/// Compares the directory `root` with the tree it was checked out from: names, types, metadata
/// of directories, content and metadata of every file, and that files are links to their
/// objects. Reads everything. `except` names entries of the root to pass over, whether or not
/// the tree has them.
///
/// Gives the first difference found, in words, or `None`.
pub fn verify_checkout(
    repo: &Repo,
    options: &CheckoutOptions,
    root: &Dir,
    tree: TreeId,
    except: &[&str],
) -> Result<Option<String>> {
    let verify = Verify { checkout: Checkout::new(repo, options)? };
    verify.dir(root, tree, except)
}

struct Verify<'a> {
    checkout: Checkout<'a>,
}

impl Verify<'_> {
    fn dir(&self, dir: &Dir, id: TreeId, except: &[&str]) -> Result<Option<String>> {
        let bytes = self.checkout.repo.load_metadata(ObjectType::DirTree, &id.tree)?;
        let tree = parse_dirtree(&bytes, &id.tree)?;
        let mut found: BTreeMap<OsString, DirEntry> =
            dir.entries()?.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        for name in except {
            found.remove(std::ffi::OsStr::new(name));
        }
        let differs =
            |name: &str, how: &str| Ok(Some(format!("{} {how}", dir.path().join(name).display())));
        let kept = |name: &str| !except.contains(&name);
        for (name, checksum) in tree.files().filter(|(name, _)| kept(name)) {
            let name_in_checkout = name.strip_prefix(".ostree-wh.").unwrap_or(name);
            if found.remove(std::ffi::OsStr::new(name_in_checkout)).is_none() {
                return differs(name, "is missing");
            }
            if name_in_checkout == name && !self.is_file(dir, name, &checksum)? {
                return differs(name, "was changed or replaced");
            }
        }
        for (name, ..) in tree.dirs().filter(|(name, ..)| kept(name)) {
            match found.remove(std::ffi::OsStr::new(name)) {
                Some(entry) if entry.kind == FileKind::Directory => {}
                _ => return differs(name, "is no directory any more"),
            }
        }
        if let Some((name, _)) = found.first_key_value() {
            return differs(&name.to_string_lossy(), "was added");
        }
        let dirs: Vec<_> = tree.dirs().filter(|(name, ..)| kept(name)).collect();
        dirs.into_par_iter()
            .map(|(name, tree, meta)| self.subdir(dir, name, TreeId { tree, meta }))
            .find_first(|found| !matches!(found, Ok(None)))
            .unwrap_or(Ok(None))
    }

    fn subdir(&self, parent: &Dir, name: &str, id: TreeId) -> Result<Option<String>> {
        let dir = parent.open_dir(name)?;
        if !self.has_meta(&dir, &id.meta)? {
            return Ok(Some(format!(
                "{}: owner, mode or attributes changed",
                dir.path().display()
            )));
        }
        self.dir(&dir, id, &[])
    }

    fn has_meta(&self, dir: &Dir, expected: &Checksum) -> Result<bool> {
        let stat = dir.stat_self()?;
        let expected = self.checkout.dirmeta(expected)?;
        if self.checkout.mode == CheckoutMode::User {
            return Ok(stat.mode & 0o775 == expected.mode & 0o775);
        }
        let xattrs = trefoil_format::xattrs::Xattrs::of_inode(dir.xattrs()?);
        Ok(stat.mode == expected.mode
            && (stat.uid, stat.gid) == (expected.uid, expected.gid)
            && xattrs == expected.xattrs)
    }

    /// Whether `name` has the content and metadata of the object and, where it was linked, is
    /// that very file.
    fn is_file(&self, dir: &Dir, name: &str, expected: &Checksum) -> Result<bool> {
        let stat = dir.stat(name)?;
        if !stat.is_file() && !stat.is_symlink() {
            return Ok(false);
        }
        let repo = self.checkout.repo;
        let object = ObjectName::new(*expected, ObjectType::File);
        if self.checkout.mode == CheckoutMode::None && repo.mode() == RepoMode::Bare {
            let linked = stat.is_symlink() || stat.size > 0;
            // A copy, because the object had no links left, has one of its own.
            let source = repo.objects().stat_opt(&*repo.object_path(&object))?;
            let foreign = source.is_some_and(|source| source.identity() != stat.identity());
            if linked && foreign && stat.nlink > 1 {
                return Ok(false);
            }
            return Ok(checksum_local(dir, name, &stat, Canonical::default())? == *expected);
        }
        self.same_content(dir, name, expected, &stat)
    }

    /// In user repositories owner and attributes are not in the file: content and the
    /// executable bits are compared.
    fn same_content(
        &self,
        dir: &Dir,
        name: &str,
        expected: &Checksum,
        stat: &trefoil_fsat::Stat,
    ) -> Result<bool> {
        let object = self.checkout.repo.load_file(expected)?;
        if let Some(target) = &object.header.symlink_target {
            return Ok(stat.is_symlink() && dir.read_link(name)? == target.as_bytes());
        }
        if !stat.is_file() || stat.mode & 0o111 != object.header.mode & 0o111 {
            return Ok(false);
        }
        let mut hasher = object.header.hasher();
        let file = dir.open_file(name)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match file.read_some(&mut buffer)? {
                0 => return Ok(hasher.finish() == *expected),
                n => hasher.update(&buffer[..n]),
            }
        }
    }
}
