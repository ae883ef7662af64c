use std::collections::HashSet;
use std::ops::AddAssign;

use crate::{RepoError, Result};

/// What of the metadata a checkout restores.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum CheckoutMode {
    /// Owner, mode and extended attributes. Links to objects of a `bare` repository.
    #[default]
    None,
    /// Only the mode, without setuid and setgid bits of files (`-U`). Links to objects of
    /// `bare-user` and `bare-user-only` repositories; the latter always use it.
    User,
}

/// What happens to names that are already there.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Nothing may be there.
    #[default]
    None,
    /// Directories are kept, files replaced (`--union`).
    UnionFiles,
    /// Directories and files are kept (`--union-add`).
    AddFiles,
    /// Directories are kept, and files where they are the same as the new one
    /// (`--union-identical`). Needs [`CheckoutOptions::require_hardlinks`].
    UnionIdentical,
}

/// How to check out. The default is that of `ostree checkout` without options, but for the
/// cache of uncompressed objects; a deployment is that and `passthrough_whiteouts`.
///
/// Empty files are never linked, so that no object runs out of links, and in user mode
/// neither are files that their owner may not read; both as libostree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutOptions {
    /// Whether owners and attributes are restored.
    pub mode: CheckoutMode,
    /// What to do with existing names.
    pub overwrite: Overwrite,
    /// Fail where a file cannot be linked, instead of copying it (`-H`).
    pub require_hardlinks: bool,
    /// Never link, always copy (`-C`). New directories keep the time they were made at.
    pub force_copy: bool,
    /// Take permission bits outside 0775 away from new directories (`-M`).
    pub bareuseronly_dirs: bool,
    /// A file `.wh.NAME` removes `NAME`, and `.wh..wh..opq` all that was in the directory before
    /// (`--whiteouts`). With [`Overwrite::UnionFiles`] any type then replaces any other.
    pub process_whiteouts: bool,
    /// A file `.ostree-wh.NAME` becomes `NAME`, an overlayfs whiteout
    /// (`--process-passthrough-whiteouts`).
    pub passthrough_whiteouts: bool,
    /// Paths to leave out, from the root of what is checked out and beginning with `/`; those
    /// of directories end with `/`.
    pub skip_list: HashSet<String>,
    /// In user mode from an `archive` repository, unpack into `uncompressed-objects-cache` of
    /// the repository and link from there, unless `core.enable-uncompressed-cache` forbids it.
    pub uncompressed_cache: bool,
    /// Sync the file system once at the end. `ostree checkout` never does.
    pub fsync: bool,
}

impl CheckoutOptions {
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(RepoError::Refused(what.to_string()));
        if self.require_hardlinks && self.force_copy {
            return refuse("Cannot specify both --require-hardlinks and --force-copy");
        }
        if self.overwrite == Overwrite::UnionIdentical && !self.require_hardlinks {
            return refuse("--union-identical requires --require-hardlinks");
        }
        Ok(())
    }
}

/// What a checkout did.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutStats {
    /// Directories made.
    pub dirs: u64,
    /// Directories that were there and were kept.
    pub dirs_kept: u64,
    /// Hard links made to objects, of the repository or of its uncompressed cache.
    pub links: u64,
    /// Regular files made by copying.
    pub copies: u64,
    /// Bytes of content in those copies, shared blocks included.
    pub bytes_copied: u64,
    /// Symbolic links made anew.
    pub symlinks: u64,
    /// Files and symbolic links that were there and were kept.
    pub kept: u64,
    /// Files, symbolic links and directories left out by the skip list.
    pub skipped: u64,
    /// Whiteouts acted upon, of either sort.
    pub whiteouts: u64,
}

impl AddAssign for CheckoutStats {
    fn add_assign(&mut self, other: Self) {
        self.dirs += other.dirs;
        self.dirs_kept += other.dirs_kept;
        self.links += other.links;
        self.copies += other.copies;
        self.bytes_copied += other.bytes_copied;
        self.symlinks += other.symlinks;
        self.kept += other.kept;
        self.skipped += other.skipped;
        self.whiteouts += other.whiteouts;
    }
}
