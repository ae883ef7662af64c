use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, Stat};

use super::whiteout::OPAQUE;
use super::{Checkout, CheckoutOptions, Overwrite, exists};
use crate::lookup::{parse_dirtree, path_names};
use crate::mutable_tree::MAX_DEPTH;
use crate::{Repo, RepoError, Result, TreeEntry, TreeId};

/// What a checkout would do.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutPlan {
    /// Directories to be made.
    pub dirs: u64,
    /// Directories that are there and would be kept.
    pub dirs_kept: u64,
    /// Files and symbolic links to be made where nothing is.
    pub files: u64,
    /// Those that are there and would be replaced, unless they are the same.
    pub replaced: u64,
    /// Those that are there and would be kept.
    pub kept: u64,
    /// Files, symbolic links and directories left out by the skip list.
    pub skipped: u64,
    /// Whiteouts to be acted upon, of either sort.
    pub whiteouts: u64,
}

/// Tells what [`checkout_subpath`](super::checkout_subpath) would do, and writes nothing. Costs
/// the directories of the tree, and a look at each name in directories that are there; with
/// [`Overwrite::UnionIdentical`] what is there is read. Objects of files are not looked at.
///
/// # Errors
/// A path that the tree does not have; options that exclude each other; a name that is taken and
/// may not be. What only linking and copying tells is not foreseen, nor what a whiteout beside it
/// would take away first.
pub fn plan_checkout(
    repo: &Repo,
    options: &CheckoutOptions,
    root: TreeId,
    subpath: &str,
    parent: &Dir,
    name: &str,
) -> Result<CheckoutPlan> {
    let entry = repo.lookup(root, subpath)?;
    let checkout = Checkout::without_cache(repo, options)?;
    let mut plan = CheckoutPlan::default();
    match entry {
        TreeEntry::Dir(tree) => {
            let place = Planned { parent: Some(parent), name, depth: 0, path: "/".to_string() };
            checkout.plan_dir(&place, tree, &mut plan)?;
        }
        TreeEntry::File(checksum) => {
            let names = path_names(subpath);
            let file_name = names.last().expect("the empty path leads to the root directory");
            let dir = match parent.stat_opt(name)? {
                Some(_) => Some(parent.open_dir_following(name)?),
                None => None,
            };
            checkout.plan_file(dir.as_ref(), file_name, &checksum, &mut plan)?;
        }
    }
    Ok(plan)
}

/// Where in the tree a directory is. `parent` is none where that would have to be made.
struct Planned<'p> {
    parent: Option<&'p Dir>,
    name: &'p str,
    depth: usize,
    path: String,
}

impl Checkout<'_> {
    fn plan_dir(&self, at: &Planned<'_>, id: TreeId, plan: &mut CheckoutPlan) -> Result<()> {
        if at.depth > MAX_DEPTH {
            return Err(RepoError::Refused(format!("{} is nested too deeply", at.path)));
        }
        if self.skips(&at.path) {
            plan.skipped += 1;
            return Ok(());
        }
        let bytes = self.repo.load_metadata(ObjectType::DirTree, &id.tree)?;
        let tree = parse_dirtree(&bytes, &id.tree)?;
        self.dirmeta(&id.meta)?;
        let opaque = self.options.process_whiteouts && tree.find_file(OPAQUE).is_some();
        let here = self.existing_dir(at, opaque)?;
        match (&here, at.name) {
            (Some(_), _) => plan.dirs_kept += 1,
            // It is there, and its content would go.
            (None, ".") => plan.dirs_kept += 1,
            (None, _) => plan.dirs += 1,
        }
        let path_of = |name: &str, end: &str| format!("{}{name}{end}", at.path);
        for (name, checksum) in tree.files() {
            match self.skips(&path_of(name, "")) {
                true => plan.skipped += 1,
                false => self.plan_file(here.as_ref(), name, &checksum, plan)?,
            }
        }
        for (name, tree, meta) in tree.dirs() {
            let (parent, path) = (here.as_ref(), path_of(name, "/"));
            let below = Planned { parent, name, depth: at.depth + 1, path };
            self.plan_dir(&below, TreeId { tree, meta }, plan)?;
        }
        Ok(())
    }

    /// The directory in the destination that would be kept with what is in it, if there is one.
    fn existing_dir(&self, at: &Planned<'_>, opaque: bool) -> Result<Option<Dir>> {
        let Some(parent) = at.parent else { return Ok(None) };
        let Some(stat) = parent.stat_opt(at.name)? else { return Ok(None) };
        let union = self.options.overwrite == Overwrite::UnionFiles;
        let makes_way = self.options.process_whiteouts && union && !stat.is_dir();
        if (opaque && at.name != ".") || makes_way {
            return Ok(None);
        }
        if self.options.overwrite == Overwrite::None {
            return Err(exists(parent, at.name));
        }
        if opaque {
            return Ok(None);
        }
        // Only the destination itself may be a symbolic link.
        Ok(Some(match at.depth {
            0 => parent.open_dir_following(at.name)?,
            _ => parent.open_dir(at.name)?,
        }))
    }

    /// `dir` is none where the directory would have to be made.
    fn plan_file(
        &self,
        dir: Option<&Dir>,
        name: &str,
        checksum: &Checksum,
        plan: &mut CheckoutPlan,
    ) -> Result<()> {
        if self.is_whiteout_name(name)
            && self.repo.load_file(checksum)?.header.symlink_target.is_none()
        {
            plan.whiteouts += 1;
            return Ok(());
        }
        let existing = match dir {
            Some(dir) => dir.stat_opt(name)?.map(|stat| (dir, stat)),
            None => None,
        };
        let Some((dir, stat)) = existing else {
            plan.files += 1;
            return Ok(());
        };
        match self.options.overwrite {
            Overwrite::None => return Err(exists(dir, name)),
            Overwrite::AddFiles => plan.kept += 1,
            Overwrite::UnionFiles if stat.is_dir() && !self.options.process_whiteouts => {
                return Err(exists(dir, name));
            }
            Overwrite::UnionFiles => plan.replaced += 1,
            Overwrite::UnionIdentical => {
                let same = self.is_object(&stat, checksum)?
                    || ((stat.is_file() || stat.is_symlink())
                        && self.existing_checksum(dir, name, &stat)? == *checksum);
                if !same {
                    return Err(exists(dir, name));
                }
                plan.kept += 1;
            }
        }
        Ok(())
    }

    /// Whether it is a link to the object, of the repository or one of its parents.
    fn is_object(&self, stat: &Stat, checksum: &Checksum) -> Result<bool> {
        let object = ObjectName::new(*checksum, ObjectType::File);
        let mut next = Some(self.repo);
        while let Some(repo) = next {
            let found = repo.objects().stat_opt(&*repo.object_path(&object))?;
            if found.is_some_and(|found| found.identity() == stat.identity()) {
                return Ok(true);
            }
            next = repo.parent();
        }
        Ok(false)
    }
}
