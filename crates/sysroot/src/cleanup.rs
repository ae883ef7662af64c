use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec};
use trefoil_fsat::{LockMode, Removed};
use trefoil_repo::prune::{PruneOptions, PrunePlan, plan_prune};
use trefoil_repo::traverse::Depth;
use trefoil_repo::{Repo, StagedRefs};

use crate::boot::BootVersion;
use crate::deploy::{TreeBuilder, forget_index};
use crate::error::During;
use crate::{Result, Sysroot, SysrootError, SysrootLock, origin};

/// What a cleanup does beyond removing leftovers.
#[derive(Copy, Clone, Debug)]
pub struct CleanupOptions {
    /// Deletes objects of the repository that no ref needs.
    pub prune: bool,
}

/// What a cleanup removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// Deployments no longer listed, as `STATEROOT/CHECKSUM.SERIAL`, whose trees were deleted.
    pub deleted: Vec<String>,
    /// The same, of trees that were kept as a spare.
    pub kept: Vec<String>,
    /// Directories and files deleted from deployments and `/boot`.
    pub removed: (u64, u64),
    /// Objects and bytes pruned from the repository.
    pub pruned: (u64, u64),
}

impl Sysroot {
    /// Deletes what the list of deployments does not need: other boot versions, other trees
    /// (unless `builder` takes them), kernels in `/boot`, deployment refs, and what interrupted
    /// transactions left in the repository. A tree that is not listed may also be what an
    /// interrupted deploy left behind.
    ///
    /// Not durable by itself: what a crash brings back is removed by the next cleanup.
    pub fn cleanup(
        &mut self,
        _lock: &SysrootLock,
        builder: &dyn TreeBuilder,
        options: CleanupOptions,
    ) -> Result<CleanupReport> {
        let mut report = CleanupReport::default();
        let mut removed = Removed::default();
        self.repo().remove_abandoned().during(|| "Cleaning system repository".into())?;
        self.clean_boot_versions(&mut removed).during(|| "Cleaning bootversions".into())?;
        self.clean_deployments(builder, &mut report, &mut removed)
            .during(|| "Cleaning deployments".into())?;
        self.clean_boot(&mut removed).during(|| "Cleaning bootfs".into())?;
        self.sync_refs().during(|| "Generating deployment refs".into())?;
        if options.prune {
            report.pruned = prune(self.repo()).during(|| "Pruning system repository".into())?;
        }
        report.removed = (removed.dirs, removed.files);
        Ok(report)
    }

    /// Objects and bytes that no ref of the repository needs as it is. A cleanup deletes them
    /// once the refs are those of the list.
    pub fn unneeded_objects(&self) -> Result<(u64, u64)> {
        let stats = plan_objects(self.repo())?.stats();
        Ok((stats.objects_pruned, stats.bytes_freed))
    }

    fn clean_boot_versions(&self, removed: &mut Removed) -> Result<()> {
        let BootVersion { major, minor } = self.boot_version();
        let other = 1 - major;
        if let Ok(boot) = self.boot() {
            removed.add(boot.remove_all(format!("loader.{other}"))?);
        }
        for name in [
            format!("boot.{other}"),
            format!("boot.{other}.0"),
            format!("boot.{other}.1"),
            format!("boot.{major}.{}", 1 - minor),
        ] {
            removed.add(self.ostree().remove_all(name)?);
        }
        Ok(())
    }

    fn clean_deployments(
        &self,
        builder: &dyn TreeBuilder,
        report: &mut CleanupReport,
        removed: &mut Removed,
    ) -> Result<()> {
        for gone in self.unlisted_trees(self.deployments())? {
            let label = gone.to_string();
            self.ostree().open_dir(gone.path())?.set_immutable(false)?;
            let origin = format!("ostree/{}.origin", gone.path());
            let hotfix = match origin::load(self.dir(), &origin) {
                Ok(origin) => origin.is_some_and(|origin| origin::is_hotfix(&origin)),
                // What a power cut left of a file: it tells nothing of the tree.
                Err(SysrootError::KeyFile { .. } | SysrootError::State(_)) => true,
                Err(e) => return Err(e),
            };
            if hotfix {
                builder.distrust(self, &gone.stateroot, &gone.name)?;
            }
            removed.add(self.ostree().remove_all(gone.backing())?);
            // The tree is what counts: its companions go first.
            removed.add(self.ostree().remove_all(format!("{}.origin", gone.path()))?);
            if builder.retire(self, &gone)? {
                report.kept.push(label);
            } else {
                removed.add(self.ostree().remove_all(gone.path())?);
                forget_index(self, &gone.stateroot, &gone.name)?;
                report.deleted.push(label);
            }
        }
        Ok(())
    }

    /// Deletes kernels and overlay initrds that no entry names.
    fn clean_boot(&self, removed: &mut Removed) -> Result<()> {
        for path in self.unlisted_boot_files(self.deployments())? {
            removed.add(self.boot()?.remove_all(path)?);
        }
        Ok(())
    }

    /// Makes the refs `ostree/N/N/N` those of the active list and no others.
    fn sync_refs(&mut self) -> Result<()> {
        let version = self.boot_version();
        let commits: Vec<Checksum> = self.deployments().iter().map(|d| d.checksum).collect();
        // Who prunes sees one set or both, and never the new one before and the old one after.
        let _unpruned = self.repo().lock(LockMode::Shared)?;
        let repo = self.repo();
        write_ref_set(repo, version, &commits)?;
        let BootVersion { major, minor } = version;
        for (major, minor) in [(1 - major, 0), (1 - major, 1), (major, 1 - minor)] {
            write_ref_set(repo, BootVersion { major, minor }, &[])?;
        }
        Ok(())
    }
}

fn prefix(version: BootVersion) -> String {
    format!("ostree/{}/{}", version.major, version.minor)
}

/// How the refs of one boot version become those of a list of deployments.
#[derive(Debug)]
pub(crate) struct RefSet<'r> {
    staged: StagedRefs<'r>,
    surplus: Vec<RefName>,
    changes: bool,
}

impl<'r> RefSet<'r> {
    /// Writes the new files. They are to be durable before [`RefSet::publish`]: a ref without
    /// its content would be in the way of both programs.
    pub(crate) fn stage(
        repo: &'r Repo,
        version: BootVersion,
        commits: &[Checksum],
    ) -> Result<RefSet<'r>> {
        let prefix = prefix(version);
        let mut present = repo.list_refs(Some(&prefix))?;
        let mut changed = Vec::new();
        for (index, commit) in commits.iter().enumerate() {
            let name = ref_name(&format!("{prefix}/{index}"))?;
            if present.remove(&Refspec { remote: None, name: name.clone() }) != Some(*commit) {
                changed.push((name, commit));
            }
        }
        let surplus: Vec<RefName> = present.into_keys().map(|refspec| refspec.name).collect();
        let staged = repo.stage_hint_refs(changed.iter().map(|(name, commit)| (name, *commit)))?;
        Ok(RefSet { staged, changes: !changed.is_empty() || !surplus.is_empty(), surplus })
    }

    /// Gives them their names, and deletes refs that are too many. Not durable: a sync of the
    /// caller, or the next cleanup, sees to it.
    pub(crate) fn publish(self, repo: &Repo) -> Result<()> {
        self.staged.publish()?;
        self.surplus.iter().try_for_each(|name| repo.set_hint_ref(name, None))?;
        match self.changes {
            true => Ok(repo.touch()?),
            false => Ok(()),
        }
    }
}

/// Points the refs of one boot version at `commits` and deletes surplus ones.
fn write_ref_set(repo: &Repo, version: BootVersion, commits: &[Checksum]) -> Result<()> {
    let set = RefSet::stage(repo, version, commits)?;
    if repo.config().fsync {
        set.staged.sync()?;
    }
    set.publish(repo)
}

fn ref_name(name: &str) -> Result<RefName> {
    RefName::new(name).map_err(|e| SysrootError::State(format!("ref {name}: {e}")))
}

/// What no ref needs, deployment refs among them.
fn plan_objects(repo: &Repo) -> Result<PrunePlan<'_>> {
    let options =
        PruneOptions { refs_only: true, depth: Depth::Parents(0), ..PruneOptions::default() };
    Ok(plan_prune(repo, &options)?)
}

fn prune(repo: &Repo) -> Result<(u64, u64)> {
    let stats = plan_objects(repo)?.apply()?;
    Ok((stats.objects_pruned, stats.bytes_freed))
}
