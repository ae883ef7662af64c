use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, FileKind, Timestamp};
use trefoil_repo::{Repo, TreeId};

use super::Result;
use super::desired::Want;
use super::draft::Draft;
use super::index::{Entry, EtcIndex, Stamp};
use super::plan::MergePlan;
use super::reconcile::{Builder, Doubt};
use super::scan::Scan;
use super::sides::{Found, Lookup, Source};

/// The name in a deployment.
const ETC: &str = "etc";

/// What the new `etc` is made from.
#[derive(Copy, Clone, Debug)]
pub struct Sources<'a> {
    /// The new deployment's `usr/etc`, checked out.
    pub new_defaults: &'a Dir,
    /// The merge deployment's `etc`, the one the plan was made with.
    pub local: Option<&'a Dir>,
    /// The same `usr/etc` in the repository. Without it no index of the result can be made.
    pub objects: Option<(&'a Repo, TreeId)>,
    /// The new deployment's commit.
    pub commit: Checksum,
}

/// An `etc` of an older deployment that becomes the new one.
#[derive(Copy, Clone, Debug)]
pub struct RecycleSources<'a> {
    /// The directory.
    pub etc: &'a Dir,
    /// Its index.
    pub index: &'a EtcIndex,
    /// How it was found to differ from the index. `None`: it is taken on trust.
    pub scan: Option<&'a Scan>,
    /// The `usr/etc` it was made for, in the repository.
    pub defaults: TreeId,
}

/// The work that an application took.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergeStats {
    /// Regular files copied.
    pub files_copied: u64,
    /// Symbolic links made.
    pub links_made: u64,
    /// Directories made.
    pub dirs_made: u64,
    /// Names removed, files and directories.
    pub removed: u64,
    /// Directories whose owner, mode or attributes were set in place.
    pub attributes_set: u64,
    /// Paths looked at and found to be right: only when recycling.
    pub kept: u64,
    /// Content bytes copied.
    pub bytes_copied: u64,
}

impl MergeStats {
    pub(crate) fn count(&mut self, kind: FileKind, bytes: u64) {
        match kind {
            FileKind::Symlink => self.links_made += 1,
            _ => self.files_copied += 1,
        }
        self.bytes_copied += bytes;
    }
}

/// A finished application: its account, and what an index of the result needs.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The work done.
    pub stats: MergeStats,
    commit: Checksum,
    draft: Draft,
}

impl Applied {
    /// Makes the index of the new `etc`, by one stat for each entry that was made or touched.
    ///
    /// `sealed` is from [`super::file_system_now`], taken after the last write and before this
    /// call; the later, for example after the deployment was synced, the fewer entries are too
    /// fresh to be believed. `None` where the sources had no objects, or the result cannot be
    /// described (another file system is mounted in it).
    pub fn seal(&self, etc: &Dir, sealed: Timestamp) -> Result<Option<EtcIndex>> {
        if !self.draft.sound {
            return Ok(None);
        }
        let dev = etc.stat_self()?.dev;
        let mut entries = Vec::with_capacity(self.draft.entries.len());
        for (path, draft) in &self.draft.entries {
            let stamp = match draft.stamp {
                Some(stamp) => stamp,
                None => {
                    let root = path.as_os_str().is_empty();
                    let stat = if root { etc.stat_self()? } else { etc.stat(path)? };
                    if stat.dev != dev {
                        return Ok(None);
                    }
                    Stamp::of(&stat)
                }
            };
            entries.push((path.clone(), Entry { relation: draft.relation, id: draft.id, stamp }));
        }
        let entries = BTreeMap::from_iter(entries);
        let gone = self.draft.gone.clone();
        Ok(Some(EtcIndex { commit: self.commit, sealed, entries, gone }))
    }
}

/// Makes `etc` in the directory of a new deployment; it must not exist yet. Refuses a plan
/// with clashes before it writes anything. Syncs nothing.
pub fn apply_fresh(plan: &MergePlan, sources: Sources<'_>, deployment: &Dir) -> Result<Applied> {
    plan.check()?;
    let mut builder = Builder::new(plan, sources);
    deployment.mkdir(ETC, 0o700)?;
    builder.stats.dirs_made += 1;
    let etc = deployment.open_dir(ETC)?;
    let root = Want::Default(Found::Dir(sources.objects.map(|(_, tree)| tree)));
    builder.make_content(&etc, Path::new(""), root)?;
    builder.finish(plan)?;
    Ok(Applied { stats: builder.stats, commit: sources.commit, draft: builder.draft })
}

/// Brings an older `etc` to the state that [`apply_fresh`] would give, and touches only what
/// differs. Interrupted, it leaves something in between; called again with a new [`Scan`] it
/// finishes the work. Refuses a plan with clashes before it writes anything. Syncs nothing.
///
/// `objects` are those of the new deployment; [`Sources::objects`] is not looked at.
pub fn apply_recycled(
    plan: &MergePlan,
    sources: Sources<'_>,
    objects: (&Repo, TreeId),
    old: RecycleSources<'_>,
) -> Result<Applied> {
    plan.check()?;
    let sources = Sources { objects: Some(objects), ..sources };
    let racy;
    let scan = match old.scan {
        Some(scan) => scan,
        None => {
            racy = Scan::of_racy(old.index, old.etc)?;
            &racy
        }
    };
    let touched = touched(plan, &old, scan, objects)?;
    let doubts = doubts(scan);
    let mut builder = Builder::new(plan, sources);
    builder.adopt(&old.index.entries);
    let mut settled: Option<&PathBuf> = None;
    for path in &touched {
        if settled.is_some_and(|top| path.starts_with(top)) {
            continue;
        }
        let have = old.index.entries.get(path);
        let doubt = match doubts.get(path.as_path()) {
            Some(doubt) => *doubt,
            None if old.index.is_undescribed(path) => Doubt::Node,
            None => Doubt::None,
        };
        if builder.fix(old.etc, path, have, doubt)? {
            settled = Some(path);
        }
    }
    builder.finish(plan)?;
    Ok(Applied { stats: builder.stats, commit: sources.commit, draft: builder.draft })
}

fn doubts(scan: &Scan) -> BTreeMap<&Path, Doubt> {
    let nodes = scan.changed.iter().map(|(path, _)| path).chain(&scan.appeared);
    let dirs = scan.dirs.iter().map(|(path, _)| (path.as_path(), Doubt::Attributes));
    nodes.map(|path| (path.as_path(), Doubt::Node)).chain(dirs).collect()
}

/// Every path at which the older tree may differ from the wanted one.
fn touched(
    plan: &MergePlan,
    old: &RecycleSources<'_>,
    scan: &Scan,
    (repo, new): (&Repo, TreeId),
) -> Result<BTreeSet<PathBuf>> {
    let mut touched = scan.suspects();
    touched.extend(old.index.gone.iter().cloned());
    let own =
        old.index.entries.iter().filter(|(_, e)| e.relation != super::index::Relation::Default);
    touched.extend(own.map(|(path, _)| path.clone()));
    touched.extend(plan.overlay.iter().map(|(path, _)| path.clone()));
    let mut trees = Lookup::new(Source::Tree(repo, new));
    changed_defaults(&mut trees, Path::new(""), old.defaults, new, &mut touched)?;
    Ok(touched)
}

/// The paths at which two directories in the repository differ; a directory on one side only
/// stands for all below it.
fn changed_defaults(
    trees: &mut Lookup<'_>,
    path: &Path,
    old: TreeId,
    new: TreeId,
    out: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    if old.meta != new.meta {
        out.insert(path.to_path_buf());
    }
    if old.tree == new.tree {
        return Ok(());
    }
    let (a, b) = (trees.tree(&old)?, trees.tree(&new)?);
    let files = |tree: &trefoil_format::dirtree::DirTree| -> BTreeMap<String, Checksum> {
        tree.files.iter().map(|f| (f.name.as_str().to_owned(), f.checksum)).collect()
    };
    let dirs = |tree: &trefoil_format::dirtree::DirTree| -> BTreeMap<String, TreeId> {
        let ids = tree.dirs.iter();
        ids.map(|d| (d.name.as_str().to_owned(), TreeId { tree: d.tree, meta: d.meta })).collect()
    };
    let (old_files, new_files) = (files(&a), files(&b));
    for name in old_files.keys().chain(new_files.keys()) {
        if old_files.get(name) != new_files.get(name) {
            out.insert(path.join(name));
        }
    }
    let (old_dirs, new_dirs) = (dirs(&a), dirs(&b));
    let names: BTreeSet<&String> = old_dirs.keys().chain(new_dirs.keys()).collect();
    for name in names {
        let child = path.join(name);
        match (old_dirs.get(name), new_dirs.get(name)) {
            (Some(old), Some(new)) => changed_defaults(trees, &child, *old, *new, out)?,
            _ => {
                out.insert(child);
            }
        }
    }
    Ok(())
}
