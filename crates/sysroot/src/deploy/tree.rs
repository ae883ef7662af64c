use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::Dir;
use trefoil_repo::TreeId;
use trefoil_repo::checkout::{CheckoutOptions, CheckoutStats, checkout};

use crate::error::During;
use crate::etc::{EtcIndex, Scan};
use crate::unlisted::Unlisted;
use crate::{Result, Sysroot};

/// The tree a deployment is to have.
#[derive(Copy, Clone, Debug)]
pub struct TreeTarget<'a> {
    /// The stateroot.
    pub stateroot: &'a str,
    /// `CHECKSUM.SERIAL`, its name below `deploy`.
    pub name: &'a str,
    /// The commit.
    pub commit: &'a Checksum,
    /// The root directory of the commit.
    pub root: TreeId,
    /// Count what a full checkout makes, at the cost of reading every directory.
    pub estimate: bool,
}

/// How a tree comes about.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TreeMethod {
    /// Everything is linked anew.
    Full,
    /// A spare is converted by the difference of two commits.
    Recycle,
}

/// What making the tree will take; numbers are `None` where nobody counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreePlan {
    /// How.
    pub method: TreeMethod,
    /// Why so, in words for people.
    pub reason: String,
    /// Hard links to make.
    pub links: Option<u64>,
    /// Names to remove.
    pub removals: Option<u64>,
    /// Directories to make.
    pub dirs: Option<u64>,
    /// Estimate of what the data file system needs for it, in bytes.
    pub bytes: Option<u64>,
}

/// What making the tree took.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TreeStats {
    /// Hard links made.
    pub links: u64,
    /// Files copied.
    pub copies: u64,
    /// Symbolic links made.
    pub symlinks: u64,
    /// Directories made.
    pub dirs: u64,
    /// Names removed.
    pub removals: u64,
}

/// The `etc` of a tree that was made.
#[derive(Debug)]
pub enum TreeEtc {
    /// What the commit has there: an empty directory or nothing.
    AsCommitted,
    /// That of an earlier deployment, to be brought to the wanted state.
    Recycled {
        /// What it held when it was sealed.
        index: Box<EtcIndex>,
        /// How it differs from that now; `None` takes it on trust.
        scan: Option<Scan>,
        /// The `usr/etc` of the commit it was made for.
        defaults: TreeId,
    },
}

/// A tree that was made, wherever it lies until it is placed.
#[derive(Debug)]
pub struct BuiltTree {
    /// Its directory.
    pub dir: Dir,
    /// What its `etc` is.
    pub etc: TreeEtc,
    /// How it was made.
    pub method: TreeMethod,
    /// What it took.
    pub stats: TreeStats,
}

/// Makes trees of deployments and takes back those that fell off the list. Fixed calling
/// order for one deployment: `plan`, `build`, the caller's work on `etc`, `place`.
pub trait TreeBuilder {
    /// Tells what [`TreeBuilder::build`] would do. Changes nothing.
    fn plan(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<TreePlan>;

    /// Makes the tree of the commit, except that its `etc` may be an earlier deployment's.
    /// Nothing need be durable.
    fn build(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<BuiltTree>;

    /// Gives the tree its name below `ostree/deploy/STATEROOT/deploy`, if it has not got it
    /// yet. `etc` is finished; nothing in the tree changes after this.
    fn place(&self, sysroot: &Sysroot, target: &TreeTarget<'_>, tree: &BuiltTree) -> Result<()>;

    /// Told that a tree was begun and will not be placed. Half a tree is of no use, and room may
    /// be what was missing. Best effort: nothing depends on it.
    fn abandon(&self, _sysroot: &Sysroot, _stateroot: &str) {}

    /// Told before a tree is opened for writing by others: it can never be converted again.
    fn distrust(&self, sysroot: &Sysroot, stateroot: &str, name: &str) -> Result<()>;

    /// Offers a tree that no boot entry names. True where it was taken, and is no longer
    /// below `deploy`; otherwise it will be deleted. Its immutable bit is off.
    fn retire(&self, sysroot: &Sysroot, tree: &Unlisted) -> Result<bool>;
}

/// Makes every tree by a full checkout and keeps no spare, as libostree does.
#[derive(Clone, Debug)]
pub struct FullCheckout {
    /// Why not otherwise, for the plan.
    pub reason: String,
}

impl TreeBuilder for FullCheckout {
    fn plan(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<TreePlan> {
        let mut plan = TreePlan {
            method: TreeMethod::Full,
            reason: self.reason.clone(),
            links: None,
            removals: None,
            dirs: None,
            bytes: None,
        };
        if target.estimate {
            let mut count = Count::default();
            count.add(sysroot, &target.root.tree)?;
            let block = sysroot.ostree().space()?.block_size;
            plan.links = Some(count.files);
            plan.dirs = Some(count.dirs);
            plan.removals = Some(0);
            plan.bytes = Some(count.dirs.saturating_mul(block));
        }
        Ok(plan)
    }

    fn build(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<BuiltTree> {
        let step = || "Checking out deployment tree".to_string();
        let parent = deploy_dir(sysroot, target.stateroot)?;
        // What an interrupted deploy may have left.
        parent.remove_all(target.name).during(step)?;
        let options = CheckoutOptions { passthrough_whiteouts: true, ..CheckoutOptions::default() };
        let stats =
            checkout(sysroot.repo(), &options, target.root, &parent, target.name).during(step)?;
        let dir = parent.open_dir(target.name)?;
        Ok(BuiltTree {
            dir,
            etc: TreeEtc::AsCommitted,
            method: TreeMethod::Full,
            stats: TreeStats::from(stats),
        })
    }

    fn place(&self, _: &Sysroot, _: &TreeTarget<'_>, _: &BuiltTree) -> Result<()> {
        Ok(())
    }

    fn distrust(&self, _: &Sysroot, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn retire(&self, _: &Sysroot, _: &Unlisted) -> Result<bool> {
        Ok(false)
    }
}

impl From<CheckoutStats> for TreeStats {
    fn from(stats: CheckoutStats) -> TreeStats {
        TreeStats {
            links: stats.links,
            copies: stats.copies,
            symlinks: stats.symlinks,
            dirs: stats.dirs,
            removals: 0,
        }
    }
}

/// The directory that holds the trees of a stateroot, made as needed.
pub fn deploy_dir(sysroot: &Sysroot, stateroot: &str) -> Result<Dir> {
    let path = format!("deploy/{stateroot}/deploy");
    sysroot.ostree().ensure_dir(&path, 0o775)?;
    Ok(sysroot.ostree().open_dir(&path)?)
}

#[derive(Default)]
struct Count {
    files: u64,
    dirs: u64,
}

impl Count {
    fn add(&mut self, sysroot: &Sysroot, tree: &Checksum) -> Result<()> {
        self.dirs += 1;
        let dirtree = sysroot.repo().load_dirtree(tree)?;
        self.files += dirtree.files.len() as u64;
        dirtree.dirs.iter().try_for_each(|dir| self.add(sysroot, &dir.tree))
    }
}
