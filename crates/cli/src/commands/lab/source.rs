//! The operating system that is committed: the running machine's, or a directory with `usr`.

use std::path::Path;

use trefoil_format::name::EntryName;
use trefoil_fsat::{Dir, Fs};
use trefoil_repo::commit::{CommitModifier, SkipList, import_dir};
use trefoil_repo::{MutableTree, Transaction, TreeId};

use super::edit::{add_file, add_link, ensure_path, set_plain_metadata};
use super::scan::Scan;
use crate::error::{Context as _, Result};

/// User and group.
pub type Owner = (u32, u32);

/// Version of the kernel that is put in where the tree has none.
const STAND_IN_KERNEL: &str = "0.0.0-stand-in";
/// Size of the stand-in for the kernel, and for the initramfs, in bytes.
const STAND_IN_SIZES: (usize, usize) = (4 << 20, 16 << 20);

/// How many files of `usr` are taken for an ordinary user, whose deployments are copies.
const COPIED_FILES: usize = 10_000;

/// The tree as it lies on disk; it is only read.
#[derive(Debug)]
pub struct Source {
    usr: Dir,
    etc: Option<Dir>,
    /// What is in `usr`.
    pub usr_scan: Scan,
    /// What is in `etc`; it becomes `usr/etc`.
    pub etc_scan: Scan,
    /// Whether the tree has a kernel of its own.
    pub has_kernel: bool,
}

impl Source {
    /// Looks at `root`, whose `usr` becomes the tree and whose `etc`, if any, its `usr/etc`.
    /// At most `bound` bytes of `usr` are taken, and for anybody but root fewer files.
    pub fn open(fs: &Fs, root: &Path, bound: u64, is_root: bool) -> Result<Source> {
        let root_dir = fs.open_dir(root)?;
        let usr = root_dir
            .open_dir("usr")
            .context(format!("{} is no operating system tree: it has no usr", root.display()))?;
        let etc = root_dir.open_dir_opt("etc")?;
        let readable = |dir: &Dir, name: &str| is_root || dir.open_file(name).is_ok();
        let mut usr_scan = Scan::of(&usr, &readable)?;
        usr_scan.limit(bound);
        if !is_root {
            usr_scan.thin(COPIED_FILES);
        }
        let etc_scan = match &etc {
            Some(etc) => Scan::of(etc, &readable)?,
            None => Scan::default(),
        };
        let kernel = |path: &str| path.starts_with("/lib/modules/") && path.ends_with("/vmlinuz");
        let has_kernel = usr_scan.files.iter().any(|(path, _)| kernel(path));
        Ok(Source { usr, etc, usr_scan, etc_scan, has_kernel })
    }

    /// Commits it all: `usr` as it is, `etc` as `usr/etc`, and the few names that a deployment
    /// needs at the top. With `owner` everything belongs to that user and has no attributes,
    /// for those who may not give files away.
    pub fn import(&self, transaction: &Transaction<'_>, owner: Option<Owner>) -> Result<TreeId> {
        let repo = transaction.repo();
        let own = owner.unwrap_or((0, 0));
        let mut root = MutableTree::new();
        set_plain_metadata(transaction, &mut root, own)?;
        for name in ["boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var", "usr"] {
            ensure_path(transaction, &mut root, name)?;
        }
        add_link(transaction, &mut root, EntryName::new("ostree")?, "sysroot/ostree", own)?;
        for name in ["bin", "lib", "lib64", "sbin"] {
            if self.usr.exists(name)? {
                let target = format!("usr/{name}");
                add_link(transaction, &mut root, EntryName::new(name)?, &target, own)?;
            }
        }
        let usr = root.ensure_dir(repo, &EntryName::new("usr")?)?;
        import_dir(transaction, &self.usr, usr, &modifier(&self.usr_scan, owner))
            .context("committing usr")?;
        if let Some(etc) = &self.etc {
            let defaults = usr.ensure_dir(repo, &EntryName::new("etc")?)?;
            import_dir(transaction, etc, defaults, &modifier(&self.etc_scan, owner))
                .context("committing etc")?;
        }
        self.stand_in(transaction, &mut root, own)?;
        Ok(root.write(transaction)?)
    }

    /// What every deployment needs and a container's /usr lacks.
    fn stand_in(
        &self,
        transaction: &Transaction<'_>,
        root: &mut MutableTree,
        own: Owner,
    ) -> Result<()> {
        if !self.has_kernel {
            let path = format!("usr/lib/modules/{STAND_IN_KERNEL}");
            let dir = ensure_path(transaction, root, &path)?;
            let (kernel, initramfs) = (noise(STAND_IN_SIZES.0), noise(STAND_IN_SIZES.1));
            add_file(transaction, dir, EntryName::new("vmlinuz")?, &kernel, own)?;
            add_file(transaction, dir, EntryName::new("initramfs.img")?, &initramfs, own)?;
        }
        // Without defaults there would be no merge to show.
        ensure_path(transaction, root, "usr/etc")?;
        if !self.usr.exists("lib/os-release")? {
            let dir = ensure_path(transaction, root, "usr/lib")?;
            let text = b"NAME=Demo\nID=demo\nPRETTY_NAME=\"Demo OS\"\n";
            add_file(transaction, dir, EntryName::new("os-release")?, text, own)?;
        }
        Ok(())
    }

    /// Files, links and directories that are taken.
    pub fn entries(&self) -> u64 {
        self.usr_scan.entries() + self.etc_scan.entries()
    }

    /// Bytes that are taken.
    pub fn bytes(&self) -> u64 {
        self.usr_scan.bytes() + self.etc_scan.bytes()
    }
}

fn modifier(scan: &Scan, owner: Option<Owner>) -> CommitModifier {
    CommitModifier {
        owner_uid: owner.map(|(uid, _)| uid),
        owner_gid: owner.map(|(_, gid)| gid),
        skip_xattrs: owner.is_some(),
        skip_list: SkipList::parse(&scan.skip_list()),
        ..CommitModifier::default()
    }
}

/// Bytes that look like a compressed kernel: no two blocks alike, the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
