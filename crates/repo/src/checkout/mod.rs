//! Writing the tree of a commit into a directory, as `ostree checkout`.
//!
//! Files become hard links to their objects where repository mode and checkout mode agree, and
//! copies otherwise. Directories are worked on in parallel, in rayon's current thread pool; the
//! files of one directory stay on one thread, since the kernel locks the directory anyway.
//!
//! Every access goes through the held handle of the directory and a single name, so a symbolic
//! link that is already in the destination is never followed; only the destination itself may
//! be one. An existing file is replaced by a rename, never written to.

mod cache;
mod convert;
mod copy;
mod file;
mod link;
mod options;
mod plan;
mod tree;
mod verify;
mod whiteout;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};

use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_fsat::Dir;

pub use convert::{ConvertPlan, ConvertStats, TreeCount, collect_dirs};
pub use options::{CheckoutMode, CheckoutOptions, CheckoutStats, Overwrite};
pub use plan::{CheckoutPlan, plan_checkout};

pub use verify::verify_checkout;
pub(crate) use whiteout::{OPAQUE, WHITEOUT};

use crate::lookup::path_names;
use crate::{Repo, RepoError, RepoMode, Result, TreeEntry, TreeId};
use cache::UncompressedCache;

/// Writes the directory `tree` as `name` in `parent`, and all below it.
///
/// New directories are made with mode 0700 and get owner, mode, attributes and modification
/// time 0 when everything in them is there. Nothing is durable unless
/// [`CheckoutOptions::fsync`] is set. After an error a part of the tree is left behind; the
/// caller removes it.
///
/// # Errors
/// A name that is taken, unless [`CheckoutOptions::overwrite`] allows it; options that exclude
/// each other; an object that is missing or broken; the file system.
pub fn checkout(
    repo: &Repo,
    options: &CheckoutOptions,
    tree: TreeId,
    parent: &Dir,
    name: &str,
) -> Result<CheckoutStats> {
    let checkout = Checkout::new(repo, options)?;
    let stats = checkout.root(parent, name, tree)?;
    if options.fsync {
        // `name` may be a symbolic link or `.`: the sync takes the file system it leads to.
        parent.open_dir_following(name).or_else(|_| parent.try_clone())?.sync_fs()?;
    }
    Ok(stats)
}

/// Writes what `subpath` of the tree `root` leads to as `name` in `parent`.
///
/// A directory becomes `name` as in [`checkout`]. A file is written under its own name into
/// the directory `name`, which is made if needed; `name` may be `.` then.
///
/// # Errors
/// [`RepoError::PathNotFound`] where the tree has no such path, and those of [`checkout`].
pub fn checkout_subpath(
    repo: &Repo,
    options: &CheckoutOptions,
    root: TreeId,
    subpath: &str,
    parent: &Dir,
    name: &str,
) -> Result<CheckoutStats> {
    let checksum = match repo.lookup(root, subpath)? {
        TreeEntry::Dir(tree) => return checkout(repo, options, tree, parent, name),
        TreeEntry::File(checksum) => checksum,
    };
    let names = path_names(subpath);
    let file_name = names.last().expect("the empty path leads to the root directory");
    let checkout = Checkout::new(repo, options)?;
    if name != "." {
        parent.ensure_dir(name, 0o700)?;
    }
    let dir = parent.open_dir_following(name)?;
    let mut stats = CheckoutStats::default();
    checkout.file(&dir, false, file_name, &checksum, &mut stats)?;
    if options.fsync {
        dir.sync_fs()?;
    }
    Ok(stats)
}

/// One running checkout: what all directories share.
struct Checkout<'a> {
    repo: &'a Repo,
    options: &'a CheckoutOptions,
    mode: CheckoutMode,
    /// Device of the repository, where hard links are required.
    device: Option<u64>,
    /// A tree has few distinct ones: each is read once.
    dirmetas: Mutex<HashMap<Checksum, Arc<DirMeta>>>,
    cache: Option<UncompressedCache>,
}

impl<'a> Checkout<'a> {
    fn new(repo: &'a Repo, options: &'a CheckoutOptions) -> Result<Self> {
        let mut checkout = Checkout::without_cache(repo, options)?;
        if repo.mode() == RepoMode::Archive
            && checkout.mode == CheckoutMode::User
            && options.uncompressed_cache
        {
            checkout.cache = UncompressedCache::open(repo)?;
        }
        Ok(checkout)
    }

    /// Opens nothing in the repository: the cache may have to be made.
    fn without_cache(repo: &'a Repo, options: &'a CheckoutOptions) -> Result<Self> {
        options.check()?;
        let mode = match repo.mode() {
            // Owners and attributes are not kept there.
            RepoMode::BareUserOnly => CheckoutMode::User,
            _ => options.mode,
        };
        let device = match options.require_hardlinks {
            true => Some(repo.dir().stat_self()?.dev),
            false => None,
        };
        Ok(Checkout { repo, options, mode, device, dirmetas: Mutex::default(), cache: None })
    }

    fn dirmeta(&self, checksum: &Checksum) -> Result<Arc<DirMeta>> {
        if let Some(meta) = self.dirmetas.lock().expect("no holder panics").get(checksum) {
            return Ok(Arc::clone(meta));
        }
        let meta = Arc::new(self.repo.load_dirmeta(checksum)?);
        let mut metas = self.dirmetas.lock().expect("no holder panics");
        Ok(Arc::clone(metas.entry(*checksum).or_insert(meta)))
    }

    fn keeps_owner(&self) -> bool {
        self.mode == CheckoutMode::None
    }
}

/// A name that no other running checkout uses. One that a dead process left behind may be the
/// same: the caller removes that first.
fn temp_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Asking is a system call, and this is once for each changed file.
    static PROCESS: LazyLock<u32> = LazyLock::new(std::process::id);
    format!(".trefoil-checkout-{}-{}", *PROCESS, COUNT.fetch_add(1, Relaxed))
}

/// The error of a name that is taken and may not be.
fn exists(dir: &Dir, name: &str) -> RepoError {
    let cause = std::io::Error::from_raw_os_error(EEXIST);
    trefoil_fsat::FsError::new("make", dir.path().join(name), cause).into()
}

/// The same on every Linux; the system's own error keeps the system's words.
const EEXIST: i32 = 17;
