use std::fmt;

use serde::Serialize;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::keyfile::KeyFile;
use trefoil_format::loader_entry::LoaderEntry;
use trefoil_fsat::Dir;
use trefoil_repo::{CommitState, TreeId};

use super::etc::{EtcPlan, plan_etc};
use super::retain::next_list;
use super::{DeployOptions, PlannedAgainst, TreeBuilder, TreePlan, TreeTarget};
use crate::boot::{Bootloader, missing_bytes, needs_bootswap};
use crate::error::During;
use crate::etc::MergePlan;
use crate::kernel::{BootcsumCache, KernelLayout, find_kernel};
use crate::{Deployment, Result, Sysroot, SysrootError, Unlocked, origin};

/// What becomes of `/boot`.
#[derive(Clone, Debug, Serialize)]
pub struct BootPlan {
    /// Checksum over kernel, initramfs and device trees.
    pub bootcsum: String,
    /// New boot entries are needed; otherwise one link changes.
    pub new_entries: bool,
    /// Bytes of kernel files that are not in `/boot` yet.
    pub new_bytes: u64,
}

/// Space that a plan needs on one file system.
#[derive(Clone, Debug, Serialize)]
pub struct SpaceNeed {
    /// `data` or `boot`.
    pub role: &'static str,
    /// A directory on it.
    pub path: String,
    /// Estimate in bytes; `None` where the tree was not counted.
    pub needed: Option<u64>,
    /// What is left for ordinary users, in bytes.
    pub available: u64,
}

/// What a deploy will do. Making one changes nothing on disk.
#[derive(Clone, Debug, Serialize)]
pub struct DeployPlan {
    /// The commit.
    pub commit: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// The stateroot.
    pub stateroot: String,
    /// Name of the new deployment, `CHECKSUM.SERIAL`.
    pub name: String,
    /// `/etc` is merged and entries are written at shutdown only.
    pub staged: bool,
    /// The deployment whose `/etc` and kernel arguments are taken over.
    pub merge: Option<String>,
    /// Its kernel arguments, without `ostree=` of the new entry.
    pub kargs: Option<String>,
    /// The new boot order, as `STATEROOT/CHECKSUM.SERIAL`.
    pub order: Vec<String>,
    /// Deployments that fall off the list.
    pub retired: Vec<String>,
    /// How the tree is made.
    pub tree: TreePlan,
    /// The merge of `/etc`; `None` for a tree without `/usr/etc`.
    pub etc: Option<MergePlan>,
    /// What becomes of `/boot`.
    pub boot: BootPlan,
    /// Space needed and there.
    pub space: Vec<SpaceNeed>,
    #[serde(skip)]
    pub(crate) parts: Parts,
}

/// What applying the plan needs besides.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(super) against: PlannedAgainst,
    pub(crate) options: DeployOptions,
    pub(super) checksum: Checksum,
    pub(super) root: TreeId,
    pub(crate) layout: KernelLayout,
    pub(super) cache: BootcsumCache,
    pub(crate) deployment: Deployment,
    /// Positions in the list planned against; `None` is the new deployment.
    pub(super) order: Vec<Option<usize>>,
    pub(crate) merge: Option<usize>,
    /// The `etc` that is made at once: that of a staged deployment has its defaults only.
    pub(super) etc: EtcPlan,
}

impl DeployPlan {
    /// The target for the [`TreeBuilder`].
    pub fn target(&self) -> TreeTarget<'_> {
        TreeTarget {
            stateroot: &self.stateroot,
            name: &self.name,
            commit: &self.parts.checksum,
            root: self.parts.root,
            estimate: self.parts.options.estimate,
        }
    }
}

/// What a plan is made for.
#[derive(Copy, Clone, Debug)]
pub(super) enum Purpose {
    /// To be applied as things are.
    Apply,
    /// To be shown: a pull of this many bytes comes first, and the file system may be mounted
    /// read-only meanwhile.
    Preview(u64),
}

impl Sysroot {
    /// Plans a deploy against the list as it is loaded.
    ///
    /// # Errors
    /// Whatever is known to make the deploy fail: no such commit or stateroot, a partial
    /// commit, no kernel, an `/etc` that cannot be merged, a boot loader we cannot write for,
    /// too little space.
    pub fn plan_deploy(
        &self,
        options: &DeployOptions,
        builder: &dyn TreeBuilder,
    ) -> Result<DeployPlan> {
        self.plan_for(Purpose::Apply, options, builder)
    }

    pub(super) fn plan_for(
        &self,
        purpose: Purpose,
        options: &DeployOptions,
        builder: &dyn TreeBuilder,
    ) -> Result<DeployPlan> {
        let (stateroot, checksum, commit) = self.check_request(purpose, options)?;
        let merge = if options.no_merge { None } else { self.merge_deployment(&stateroot) };
        let mut cache = BootcsumCache::load(self.ostree())?;
        let layout = find_kernel(self.repo(), &checksum, self.options().no_dtb, &mut cache)?;
        let deployment = self.new_deployment(options, &stateroot, checksum, merge, &layout)?;
        let list = next_list(self, &stateroot, merge, options.retain, !options.not_as_default);
        let root = TreeId::of_commit(&commit);
        let etc = plan_etc(self, merge, &root).during(|| "Planning the merge of /etc".into())?;
        let preview = etc.merge.clone();
        let etc = if options.stage { plan_etc(self, None, &root)? } else { etc };
        let name = deployment.name();
        let target = TreeTarget {
            stateroot: &stateroot,
            name: &name,
            commit: &checksum,
            root,
            estimate: options.estimate,
        };
        let tree = builder.plan(self, &target)?;
        let boot = self.plan_boot(&list, &deployment, &layout)?;
        let space = self.plan_space(purpose, &tree, &boot, &etc)?;
        Ok(DeployPlan {
            commit: checksum.to_hex(),
            version: commit.metadata.get_str("version").map(str::to_string),
            staged: options.stage,
            merge: merge.map(label),
            kargs: deployment.entry.get("options").map(str::to_string),
            order: list.iter().map(|d| label(d.unwrap_or(&deployment))).collect(),
            retired: self.retired(&list),
            tree,
            etc: preview,
            boot,
            space,
            parts: Parts {
                against: PlannedAgainst::of(self),
                options: options.clone(),
                checksum,
                root,
                layout,
                cache,
                order: list.iter().map(|d| d.map(|d| d.index)).collect(),
                merge: merge.map(|d| d.index),
                deployment,
                etc,
            },
            stateroot,
            name,
        })
    }

    /// Where to deploy what; fails for what never can be.
    fn check_request(
        &self,
        purpose: Purpose,
        options: &DeployOptions,
    ) -> Result<(String, Checksum, Commit)> {
        let stateroot = self.stateroot_or_booted(options.stateroot.as_deref())?;
        if options.stage && self.booted().is_none() {
            return Err(SysrootError::Refused(
                "Cannot stage deployment: Not currently booted into an OSTree system".into(),
            ));
        }
        if !self.has_stateroot(&stateroot)? {
            return Err(SysrootError::NoStateroot { name: stateroot });
        }
        let checksum = self.repo().resolve_rev(&options.rev)?;
        let commit = self.repo().load_commit(&checksum)?;
        // What an interrupted pull left here is completed by the one that comes first.
        let holder = match purpose {
            Purpose::Apply => self.repo(),
            Purpose::Preview(_) => self.repo().parent().unwrap_or(self.repo()),
        };
        if holder.commit_state(&checksum)? != CommitState::Normal {
            return Err(SysrootError::PartialCommit { commit: checksum });
        }
        if let Some(bootloader) = Bootloader::query(self.settings(), self.boot()?)? {
            bootloader.require_supported(self)?;
        }
        Ok((stateroot, checksum, commit))
    }

    fn new_deployment(
        &self,
        options: &DeployOptions,
        stateroot: &str,
        checksum: Checksum,
        merge: Option<&Deployment>,
        layout: &KernelLayout,
    ) -> Result<Deployment> {
        let origin: KeyFile = match &options.origin {
            Some(origin) => origin.clone(),
            None => origin::from_refspec(&options.rev),
        };
        let mut entry = LoaderEntry::default();
        if let Some(kargs) = options.kargs.resolve(merge)? {
            entry.set("options", &kargs.to_string());
        }
        let same = |d: &&Deployment| d.stateroot == stateroot && d.checksum == checksum;
        let serials = self.deployments().iter().filter(same).map(|d| d.serial);
        Ok(Deployment {
            stateroot: stateroot.to_string(),
            checksum,
            serial: serials.max().map_or(0, |highest| highest + 1),
            bootcsum: layout.bootcsum,
            bootserial: 0,
            origin: Some(origin),
            entry,
            entry_name: None,
            unlocked: Unlocked::None,
            staged: false,
            finalization_locked: false,
            identity: (0, 0),
            index: 0,
        })
    }

    fn plan_boot(
        &self,
        list: &[Option<&Deployment>],
        new: &Deployment,
        layout: &KernelLayout,
    ) -> Result<BootPlan> {
        let after: Vec<Deployment> = list.iter().map(|d| d.unwrap_or(new).clone()).collect();
        Ok(BootPlan {
            bootcsum: layout.bootcsum.to_hex(),
            new_entries: needs_bootswap(self, &after),
            new_bytes: missing_bytes(self.boot()?, &new.stateroot, layout)?,
        })
    }

    fn retired(&self, list: &[Option<&Deployment>]) -> Vec<String> {
        let stays = |d: &Deployment| list.iter().flatten().any(|l| l.same_as(d));
        self.deployments().iter().filter(|d| !stays(d)).map(label).collect()
    }

    fn plan_space(
        &self,
        purpose: Purpose,
        tree: &TreePlan,
        boot: &BootPlan,
        etc: &EtcPlan,
    ) -> Result<Vec<SpaceNeed>> {
        let apart = self.boot()?.stat_self()?.dev != self.ostree().stat_self()?.dev;
        let pulled = match purpose {
            Purpose::Apply => 0,
            Purpose::Preview(bytes) => bytes,
        };
        let data = tree.bytes.map(|bytes| bytes + etc.local_bytes() + pulled);
        let mut needs = vec![space_need(purpose, "data", self.ostree(), data)?];
        if apart {
            needs.push(space_need(purpose, "boot", self.boot()?, Some(boot.new_bytes))?);
        }
        Ok(needs)
    }
}

fn space_need(
    purpose: Purpose,
    role: &'static str,
    dir: &Dir,
    needed: Option<u64>,
) -> Result<SpaceNeed> {
    let space = dir.space()?;
    if space.read_only && matches!(purpose, Purpose::Apply) {
        return Err(SysrootError::ReadOnly { path: dir.path().to_path_buf() });
    }
    let available = space.available_bytes();
    match needed {
        Some(needed) if needed > available => {
            let path = dir.path().to_path_buf();
            Err(SysrootError::NoSpace { role, path, needed, available })
        }
        _ => Ok(SpaceNeed { role, path: dir.path().display().to_string(), needed, available }),
    }
}

pub(super) fn label(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.stateroot, deployment.name())
}

impl fmt::Display for DeployPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "deployment: {}/{}", self.stateroot, self.name)?;
        if let Some(version) = &self.version {
            writeln!(f, "version: {version}")?;
        }
        if self.staged {
            writeln!(f, "staged: /etc and boot entries wait for shutdown")?;
        }
        let number = |n: Option<u64>| n.map_or("not counted".to_string(), |n| n.to_string());
        let TreePlan { method, reason, links, removals, dirs, bytes } = &self.tree;
        writeln!(f, "tree: {method:?}: {reason}")?;
        writeln!(
            f,
            "  links: {}, removals: {}, directories: {}, bytes: {}",
            number(*links),
            number(*removals),
            number(*dirs),
            number(*bytes)
        )?;
        if let Some(etc) = &self.etc {
            writeln!(f, "{etc}")?;
        }
        let entries = if self.boot.new_entries { "new entries" } else { "one link" };
        writeln!(f, "boot: {entries}, {} bytes of kernel files", self.boot.new_bytes)?;
        for SpaceNeed { role, path, needed, available } in &self.space {
            let needed = number(*needed);
            writeln!(f, "space ({role}, {path}): {needed} bytes needed, {available} available")?;
        }
        writeln!(f, "boot order:")?;
        self.order.iter().try_for_each(|name| writeln!(f, "  {name}"))?;
        self.retired.iter().try_for_each(|name| writeln!(f, "retired: {name}"))
    }
}
