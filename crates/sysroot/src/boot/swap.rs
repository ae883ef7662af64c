use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, Freeze, LockMode};

use super::install::Batch;
use super::{BootVersion, Bootloader, config_files, links, stamped};
use crate::cleanup::RefSet;
use crate::error::During;
use crate::kernel::{BootcsumCache, KernelLayout, find_kernel};
use crate::{Deployment, Result, Sysroot, SysrootError, SysrootLock};

/// How a new list of deployments became active.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SwapKind {
    /// It was active already.
    None,
    /// The entries stay as they are; `ostree/boot.N` leads to other deployments.
    Links,
    /// New entries: `boot/loader` leads to them.
    Bootloader,
    /// New entries, and a file of the boot loader that became active with them.
    BootloaderConfig,
}

/// How a new list of deployments was made active.
#[derive(Clone, Debug)]
pub struct SwapReport {
    /// How the list became active.
    pub kind: SwapKind,
    /// The set of boot links in use now.
    pub version: BootVersion,
    /// How many deployments there are more than before, negative for fewer.
    pub count_change: i64,
}

impl SwapReport {
    /// The line libostree prints after a change; `None` where nothing changed.
    pub fn message(&self) -> Option<String> {
        let (head, swap) = match self.kind {
            SwapKind::None => return None,
            SwapKind::Links => ("Transaction complete", "no"),
            SwapKind::Bootloader => ("Bootloader updated", "yes"),
            SwapKind::BootloaderConfig => ("Transaction complete", "yes"),
        };
        let BootVersion { major, minor } = self.version;
        let change = self.count_change;
        Some(format!(
            "{head}; bootconfig swap: {swap}; bootversion: boot.{major}.{minor}, deployment count change: {change}"
        ))
    }
}

/// Whether a new list needs new entries: where only trees change behind the same kernels,
/// arguments, versions and stateroots, the links are enough.
pub(crate) fn needs_bootswap(sysroot: &Sysroot, new: &[Deployment]) -> bool {
    let old = sysroot.listed();
    old.len() != new.len() || old.iter().zip(new).any(|(a, b)| !entries_agree(sysroot, a, b))
}

fn entries_agree(sysroot: &Sysroot, a: &Deployment, b: &Deployment) -> bool {
    a.bootcsum == b.bootcsum
        && a.entry.overlay_initrds() == b.entry.overlay_initrds()
        && own_kargs(a) == own_kargs(b)
        && a.stateroot == b.stateroot
        && (a.checksum == b.checksum
            || sysroot.commit_version(&a.checksum) == sysroot.commit_version(&b.checksum))
}

/// The kernel arguments with whatever `ostree=` has for its value taken out.
fn own_kargs(deployment: &Deployment) -> String {
    let mut kargs = deployment.kargs();
    // Without such an argument there is nothing to take out.
    let _ = kargs.replace("ostree");
    kargs.to_string()
}

/// Makes `new` the list of deployments, in one atomic step that is durable on return, and
/// reloads. `layout` is the kernel of the one deployment in `new` that has no entry yet.
///
/// Deployment refs of the new list are in place before the step, written in the same sync. Old
/// entries, links, refs and trees stay for [`Sysroot::cleanup`].
///
/// # Errors
/// The booted deployment is not in `new`; a tree is missing; the boot loader is one whose
/// files we cannot write.
pub(crate) fn write_deployments(
    sysroot: &mut Sysroot,
    _lock: &SysrootLock,
    mut new: Vec<Deployment>,
    layout: Option<KernelLayout>,
) -> Result<SwapReport> {
    let dropped = drop_staged(sysroot, &mut new)?;
    links::assign_bootserials(&mut new);
    let count_change = new.len() as i64 - sysroot.listed().len() as i64;
    let kind = if needs_bootswap(sysroot, &new) {
        SwapKind::Bootloader
    } else if sysroot.listed().iter().zip(&new).all(|(a, b)| a.same_as(b)) {
        SwapKind::None
    } else {
        SwapKind::Links
    };
    if kind != SwapKind::None {
        check_list(sysroot, &new)?;
    }
    let kind = match kind {
        SwapKind::None => kind,
        SwapKind::Links => swap_links(sysroot, &new).map(|()| kind)?,
        _ => swap_bootloader(sysroot, new, layout)?,
    };
    if kind != SwapKind::None || dropped {
        sysroot.touch()?;
        sysroot.reload().during(|| "Reloading deployments after commit".into())?;
    }
    Ok(SwapReport { kind, version: sysroot.boot_version(), count_change })
}

/// Takes staged deployments out of `new`, which is about boot entries. One that comes first
/// stays staged, one that does not is taken back: true where that was so.
fn drop_staged(sysroot: &mut Sysroot, new: &mut Vec<Deployment>) -> Result<bool> {
    let stays = new.first().is_some_and(|first| first.staged);
    new.retain(|deployment| !deployment.staged);
    if stays || sysroot.staged().is_none() {
        return Ok(false);
    }
    sysroot.forget_staged()?;
    sysroot.reload()?;
    Ok(true)
}

fn check_list(sysroot: &Sysroot, new: &[Deployment]) -> Result<()> {
    for deployment in new {
        if !sysroot.dir().exists(deployment.path())? {
            let what = format!("Unable to find expected deployment root: {}", deployment.path());
            return Err(SysrootError::State(what));
        }
    }
    match sysroot.booted() {
        Some(booted) if !new.iter().any(|d| d.same_as(booted)) => {
            Err(SysrootError::Refused("Attempting to remove booted deployment".into()))
        }
        _ => Ok(()),
    }
}

/// The rename of `ostree/boot.MAJOR` is the moment of change.
fn swap_links(sysroot: &mut Sysroot, new: &[Deployment]) -> Result<()> {
    let major = sysroot.boot_version().major;
    let minor = links::write(sysroot.ostree(), major, new)?;
    let refs = stage_refs(sysroot, BootVersion { major, minor }, new)?;
    sync_for_links(sysroot)?;
    publish_refs(sysroot, refs)?;
    links::activate(sysroot.ostree(), major, minor)?;
    Ok(sysroot.ostree().sync()?)
}

/// The rename of `boot/loader` is the moment of change.
fn swap_bootloader(
    sysroot: &mut Sysroot,
    mut new: Vec<Deployment>,
    mut layout: Option<KernelLayout>,
) -> Result<SwapKind> {
    let boot = sysroot.boot()?;
    let bootloader = Bootloader::query(sysroot.settings(), boot)?;
    bootloader.map_or(Ok(()), |b| b.require_supported(sysroot))?;
    let major = sysroot.boot_version().other_major();
    let entries = format!("loader.{major}/entries");
    boot.remove_all(&entries)?;
    boot.ensure_dirs(&entries, 0o755)?;
    let show_stateroot = new.iter().any(|d| d.stateroot != new[0].stateroot);
    let batch = Batch { sysroot, major, count: new.len(), show_stateroot };
    for deployment in &mut new {
        batch.install(deployment, |d| match layout.take() {
            Some(layout) if layout.bootcsum == d.bootcsum => Ok(layout),
            _ => rediscover(sysroot, &d.checksum),
        })?;
    }
    let minor = links::write(sysroot.ostree(), major, &new)?;
    links::activate(sysroot.ostree(), major, minor)?;
    if let Some(bootloader) = bootloader {
        config_files::write(sysroot, bootloader, major, &new)?;
    }
    prepare_link(sysroot.boot()?, major)?;
    let refs = stage_refs(sysroot, BootVersion { major, minor }, &new)?;
    let atomic = bootloader.map_or(Ok(false), |bootloader| bootloader.is_atomic(sysroot))?;
    full_sync(sysroot)?;
    publish_refs(sysroot, refs)?;
    let step = || "Final bootloader swap".to_string();
    let boot = sysroot.boot()?;
    boot.rename("loader.tmp", boot, "loader").during(step)?;
    sync_boot(sysroot).during(step)?;
    if let Some(bootloader) = bootloader {
        stamped::run(sysroot, bootloader, major).during(step)?;
    }
    Ok(if atomic { SwapKind::BootloaderConfig } else { SwapKind::Bootloader })
}

fn rediscover(sysroot: &Sysroot, commit: &Checksum) -> Result<KernelLayout> {
    let mut cache = BootcsumCache::load(sysroot.ostree())?;
    find_kernel(sysroot.repo(), commit, sysroot.options().no_dtb, &mut cache)
}

fn prepare_link(boot: &Dir, major: u8) -> Result<()> {
    let step = || "Preparing final bootloader swap".to_string();
    // Paths in entries then hold whether or not /boot is a file system of its own.
    match boot.symlink(".", "boot") {
        Err(e) if !e.is_exists() => return Err(e).during(step),
        _ => {}
    }
    boot.unlink_opt("loader.tmp").during(step)?;
    boot.symlink(format!("loader.{major}"), "loader.tmp").during(step)
}

impl Sysroot {
    /// Everything written so far becomes durable, in whatever form.
    pub(crate) fn sync_all(&self) -> Result<()> {
        sync_plainly(self)
    }
}

/// Everything written so far becomes durable, on the file system of the deployments and on
/// that of `/boot`. `core.fsync=false` in the repository's config leaves out the first, as in
/// libostree, unless it is the second.
fn full_sync(sysroot: &Sysroot) -> Result<()> {
    let step = || "Full sync".to_string();
    let apart = sysroot.boot()?.stat_self()?.dev != sysroot.ostree().stat_self()?.dev;
    if apart && sysroot.repo().config().fsync {
        sysroot.ostree().sync_fs().during(step)?;
    }
    sync_boot(sysroot).during(step)
}

/// As [`full_sync`] where only links of the sysroot changed: they are read by the initramfs,
/// which replays the journal, and what the boot loader reads is as it was. So nothing is
/// frozen, but for a rehearsal.
fn sync_for_links(sysroot: &Sysroot) -> Result<()> {
    let step = || "Full sync".to_string();
    if sysroot.options().programs.watchdog.as_ref().is_some_and(|w| w.rehearse) {
        return full_sync(sysroot);
    }
    sync_plainly(sysroot).during(step)
}

fn sync_plainly(sysroot: &Sysroot) -> Result<()> {
    let boot = sysroot.boot()?;
    boot.sync_fs()?;
    let apart = boot.stat_self()?.dev != sysroot.ostree().stat_self()?.dev;
    if apart && sysroot.repo().config().fsync {
        sysroot.ostree().sync_fs()?;
    }
    Ok(())
}

/// Makes `/boot` durable in a way that a boot loader sees which cannot replay a journal: it is
/// frozen and thawed, as by libostree.
fn sync_boot(sysroot: &Sysroot) -> Result<()> {
    let step = || "During fsfreeze-thaw".to_string();
    let boot = sysroot.boot()?;
    let Some(watchdog) = &sysroot.options().programs.watchdog else {
        return boot.sync_fs().during(step);
    };
    match boot.freeze_and_thaw(watchdog).during(step)? {
        Freeze::Done | Freeze::Synced => Ok(()),
        Freeze::Rehearsed => {
            let text = "aborting due to test-fifreeze";
            Err(SysrootError::Refused(text.into())).during(step)
        }
    }
}

/// The new files of the refs `ostree/MAJOR/MINOR/N`, which name the commits for others that
/// prune the repository. Refs that are right already stay untouched.
fn stage_refs<'s>(
    sysroot: &'s Sysroot,
    version: BootVersion,
    deployments: &[Deployment],
) -> Result<RefSet<'s>> {
    let staged = sysroot.staged().into_iter();
    let commits: Vec<Checksum> = staged.chain(deployments).map(|d| d.checksum).collect();
    RefSet::stage(sysroot.repo(), version, &commits).during(generating)
}

/// Gives them their names, once they are durable and before they are needed.
fn publish_refs(sysroot: &Sysroot, refs: RefSet<'_>) -> Result<()> {
    // Who prunes meanwhile sees the old set or the new one.
    let _unpruned = sysroot.repo().lock(LockMode::Shared)?;
    refs.publish(sysroot.repo()).during(generating)
}

fn generating() -> String {
    "Generating deployment refs".into()
}
