use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::object::ObjectType;
use trefoil_fsat::{Dir, Timestamp};

use super::whiteout::OPAQUE;
use super::{Checkout, CheckoutStats, Overwrite, exists};
use crate::lookup::parse_dirtree;
use crate::mutable_tree::MAX_DEPTH;
use crate::{RepoError, RepoMode, Result, TreeId};

/// The permission bits of directories in `bare-user-only`.
const BARE_USER_ONLY_BITS: u32 = 0o775;

/// Where in the tree a directory is.
struct Place<'p> {
    parent: &'p Dir,
    name: &'p str,
    depth: usize,
    /// From the root, ending with `/`. Only kept where a skip list asks for it.
    path: String,
}

impl Checkout<'_> {
    /// Writes `tree` as `name` in `parent`.
    pub(super) fn root(&self, parent: &Dir, name: &str, tree: TreeId) -> Result<CheckoutStats> {
        self.dir(Place { parent, name, depth: 0, path: "/".to_string() }, tree)
    }

    fn dir(&self, place: Place<'_>, id: TreeId) -> Result<CheckoutStats> {
        if place.depth > MAX_DEPTH {
            let path = place.parent.path().join(place.name);
            return Err(RepoError::Refused(format!("{} is nested too deeply", path.display())));
        }
        let mut stats = CheckoutStats::default();
        if self.skips(&place.path) {
            stats.skipped += 1;
            return Ok(stats);
        }
        let bytes = self.repo.load_metadata(ObjectType::DirTree, &id.tree)?;
        let tree = parse_dirtree(&bytes, &id.tree)?;
        let meta = self.dirmeta(&id.meta)?;

        self.make_way(&place, &tree)?;
        let created = self.make_dir(&place, &mut stats)?;
        let dir = match created || place.depth > 0 {
            true => place.parent.open_dir(place.name)?,
            false => place.parent.open_dir_following(place.name)?,
        };
        if !created || place.depth == 0 {
            self.check_device(&dir)?;
        }
        if created && self.keeps_owner() {
            for (name, value) in meta.xattrs.iter() {
                dir.set_xattr(name, value)?;
            }
        }
        self.files(&place, &dir, created, &tree, &mut stats)?;
        stats += self.subdirs(&place, &dir, &tree)?;
        if created {
            self.finish(&dir, &meta)?;
        }
        Ok(stats)
    }

    pub(super) fn skips(&self, path: &str) -> bool {
        !self.options.skip_list.is_empty() && self.options.skip_list.contains(path)
    }

    /// The path of an entry for the skip list; empty where there is none.
    fn path_of(&self, place: &Place<'_>, name: &str, end: &str) -> String {
        match self.options.skip_list.is_empty() {
            true => String::new(),
            false => format!("{}{name}{end}", place.path),
        }
    }

    /// With whiteouts, a layer may hide what was in a directory, or turn a file into one.
    fn make_way(&self, place: &Place<'_>, tree: &DirTreeView<'_>) -> Result<()> {
        if !self.options.process_whiteouts {
            return Ok(());
        }
        let Place { parent, name, .. } = place;
        if tree.find_file(OPAQUE).is_some() {
            if *name == "." {
                parent.remove_contents(&mut Default::default())?;
            } else {
                parent.remove_all(name)?;
            }
        } else if self.options.overwrite == Overwrite::UnionFiles
            && parent.stat_opt(name)?.is_some_and(|stat| !stat.is_dir())
        {
            parent.unlink_opt(name)?;
        }
        Ok(())
    }

    /// Makes the directory closed to others: what is in it becomes visible when it is whole.
    /// False where it was there and may be kept.
    fn make_dir(&self, place: &Place<'_>, stats: &mut CheckoutStats) -> Result<bool> {
        let created = place.parent.ensure_dir(place.name, 0o700)?;
        if created {
            stats.dirs += 1;
        } else if self.options.overwrite == Overwrite::None {
            return Err(exists(place.parent, place.name));
        } else {
            stats.dirs_kept += 1;
        }
        Ok(created)
    }

    /// A mount point in the destination cannot be linked into.
    fn check_device(&self, dir: &Dir) -> Result<()> {
        let Some(source) = self.device else { return Ok(()) };
        let destination = dir.stat_self()?.dev;
        if source == destination {
            return Ok(());
        }
        Err(RepoError::Refused(format!(
            "Unable to do hardlink checkout across devices (src={source} destination={destination}) \
             at {}",
            dir.path().display()
        )))
    }

    fn files(
        &self,
        place: &Place<'_>,
        dir: &Dir,
        fresh: bool,
        tree: &DirTreeView<'_>,
        stats: &mut CheckoutStats,
    ) -> Result<()> {
        for (name, checksum) in tree.files() {
            if self.skips(&self.path_of(place, name, "")) {
                stats.skipped += 1;
            } else {
                self.file(dir, fresh, name, &checksum, stats)?;
            }
        }
        Ok(())
    }

    fn subdirs(
        &self,
        place: &Place<'_>,
        dir: &Dir,
        tree: &DirTreeView<'_>,
    ) -> Result<CheckoutStats> {
        let one = |(name, tree, meta): (&str, Checksum, Checksum)| {
            let path = self.path_of(place, name, "/");
            let below = Place { parent: dir, name, depth: place.depth + 1, path };
            self.dir(below, TreeId { tree, meta })
        };
        // Starting the thread pool costs more than a directory or two.
        if tree.dirs().len() < 2 {
            return tree.dirs().next().map_or_else(|| Ok(CheckoutStats::default()), one);
        }
        let dirs: Vec<_> = tree.dirs().collect();
        dirs.into_par_iter().map(one).try_reduce(CheckoutStats::default, |mut a, b| {
            a += b;
            Ok(a)
        })
    }

    /// Gives a new directory its metadata, now that all its entries are made.
    pub(super) fn finish(&self, dir: &Dir, meta: &DirMeta) -> Result<()> {
        let canonical =
            self.repo.mode() == RepoMode::BareUserOnly || self.options.bareuseronly_dirs;
        dir.set_mode(if canonical { meta.mode & BARE_USER_ONLY_BITS } else { meta.mode })?;
        if self.keeps_owner() {
            dir.set_owner(meta.uid, meta.gid)?;
        }
        if !self.options.force_copy {
            dir.set_mtime(Timestamp::default())?;
        }
        Ok(())
    }
}
