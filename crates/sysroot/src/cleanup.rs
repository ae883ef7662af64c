use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec};
use trefoil_fsat::{FileKind, LockMode, Removed};
use trefoil_repo::{Repo, StagedRefs};

use crate::boot::BootVersion;
use crate::deploy::{TreeBuilder, forget_index};
use crate::error::During;
use crate::{Deployment, Result, Sysroot, SysrootError, SysrootLock, origin, parse_name};

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
        for (stateroot, name) in self.unlisted_trees()? {
            let gone = Unlisted { stateroot, name };
            let label = format!("{}/{}", gone.stateroot, gone.name);
            let dir = self.ostree().open_dir(gone.path())?;
            // The running system, whatever the list says.
            if Some(dir.stat_self()?.identity()) == self.options().running_root {
                continue;
            }
            dir.set_immutable(false)?;
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

    /// Stateroot and name of every tree below `ostree/deploy` that is not in the list.
    fn unlisted_trees(&self) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let stateroots = self.ostree().open_dir("deploy")?;
        for entry in stateroots.sorted_entries()? {
            let Some(stateroot) = entry.name.to_str() else { continue };
            if entry.kind != FileKind::Directory {
                continue;
            }
            let Some(deploy) = stateroots.open_dir_opt(format!("{stateroot}/deploy"))? else {
                continue;
            };
            for entry in deploy.sorted_entries()? {
                if entry.kind != FileKind::Directory {
                    continue;
                }
                let name = entry.name.to_string_lossy().into_owned();
                let Some((checksum, serial)) = parse_name(&name) else {
                    return Err(SysrootError::State(format!(
                        "Invalid deploy name '{name}', expected CHECKSUM.TREESERIAL in {}",
                        deploy.path().display()
                    )));
                };
                let is_it = |d: &&Deployment| {
                    d.stateroot == stateroot && d.checksum == checksum && d.serial == serial
                };
                if !self.deployments().iter().any(|d| is_it(&d)) {
                    found.push((stateroot.to_string(), name));
                }
            }
        }
        Ok(found)
    }

    /// Deletes kernels and overlay initrds that no entry names.
    fn clean_boot(&self, removed: &mut Removed) -> Result<()> {
        let Ok(boot) = self.boot() else { return Ok(()) };
        let Some(ostree) = boot.open_dir_opt("ostree")? else { return Ok(()) };
        for entry in ostree.entries()?.iter().filter(|e| e.kind == FileKind::Directory) {
            let sum = entry.name.to_str().and_then(|n| n.rsplit_once('-')).map(|(_, sum)| sum);
            let Some(Ok(bootcsum)) = sum.map(Checksum::from_hex) else { continue };
            if !self.deployments().iter().any(|d| d.bootcsum == bootcsum) {
                removed.add(ostree.remove_all(&entry.name)?);
            }
        }
        let Some(overlays) = ostree.open_dir_opt("initramfs-overlays")? else { return Ok(()) };
        for entry in overlays.entries()?.iter().filter(|e| e.kind == FileKind::Regular) {
            let Some(name) = entry.name.to_str() else { continue };
            let names =
                |d: &Deployment| d.entry.overlay_initrds().iter().any(|p| p.ends_with(name));
            if !self.deployments().iter().any(names) {
                removed.add(overlays.remove_all(name)?);
            }
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

/// A tree below `ostree/deploy` that no boot entry names.
#[derive(Clone, Debug)]
pub struct Unlisted {
    /// Its stateroot.
    pub stateroot: String,
    /// `CHECKSUM.SERIAL`.
    pub name: String,
}

impl Unlisted {
    /// Path below `ostree`.
    pub fn path(&self) -> String {
        format!("deploy/{}/deploy/{}", self.stateroot, self.name)
    }

    fn backing(&self) -> String {
        format!("deploy/{}/backing/{}", self.stateroot, self.name)
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

/// Deletes objects that no ref needs, deployment refs among them.
fn prune(repo: &Repo) -> Result<(u64, u64)> {
    use trefoil_repo::prune::{PruneOptions, plan_prune};
    use trefoil_repo::traverse::Depth;
    let options =
        PruneOptions { refs_only: true, depth: Depth::Parents(0), ..PruneOptions::default() };
    let stats = plan_prune(repo, &options)?.apply()?;
    Ok((stats.objects_pruned, stats.bytes_freed))
}
