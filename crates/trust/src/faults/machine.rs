//! Scenarios of a sysroot.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_repo::RepoMode;
use trefoil_sysroot::deploy::{DeployOptions, DeployReport, Retain, TreeMethod};
use trefoil_sysroot::spare::{SpareBuilder, Trust};
use trefoil_sysroot::{Account, CleanupOptions, Epoch, Finalized, init_fs};

use super::repository::{Way, commit};
use super::world::{REF, STATEROOT, World};
use crate::Result;

pub fn builder() -> SpareBuilder {
    SpareBuilder::new(Trust::Stat, true)
}

/// Another version of the system, committed.
pub fn release(world: &World, version: u32) -> Result<()> {
    world.tree.write("usr/bin/version", &version.to_string());
    world.tree.write(&format!("usr/lib/of-{version}/file"), "of this version only");
    world.tree.write("usr/etc/os.conf", &format!("default={version}\n"));
    world.tree.set_kernel("6.1.0", &format!("kernel {version}"), Some("initramfs"));
    commit(world, &Fs::new(), "sysroot/ostree/repo", Way::Full).map(drop)
}

fn options() -> DeployOptions {
    DeployOptions { stateroot: Some(STATEROOT.into()), ..DeployOptions::new(REF) }
}

fn deploy_with(
    world: &World,
    fs: &Fs,
    options: &DeployOptions,
    builder: &SpareBuilder,
) -> Result<DeployReport> {
    let (mut sysroot, lock) = world.locked(fs)?;
    let plan = sysroot.plan_deploy(options, builder)?;
    let clock = || Duration::ZERO;
    Ok(sysroot.apply_deploy(&lock, plan, builder, &mut Account::new(fs, &clock))?)
}

/// Deploys the newest release by the spare, if there is one.
pub fn deploy(world: &World, fs: &Fs) -> Result<()> {
    deploy_with(world, fs, &options(), &builder()).map(drop)
}

pub fn deploy_full(world: &World, fs: &Fs) -> Result<()> {
    let builder = SpareBuilder::new(Trust::Stat, false);
    let options = DeployOptions { no_recycle: true, ..options() };
    deploy_with(world, fs, &options, &builder).map(drop)
}

/// A sysroot with one release deployed.
fn machine(world: &World) -> Result<()> {
    let root = world.live("sysroot");
    fs::create_dir(&root)?;
    init_fs(&Fs::new().open_dir(&root)?, Epoch::Modern, RepoMode::Bare)?;
    let mut repo = world.repo(&Fs::new(), "sysroot/ostree/repo")?;
    let mut config = repo.config().key_file.clone();
    config.set_raw("core", "min-free-space-percent", "0")?;
    repo.write_config(config)?;
    let (mut sysroot, lock) = world.locked(&Fs::new())?;
    sysroot.init_stateroot(&lock, STATEROOT)?;
    drop((sysroot, lock));
    release(world, 1)?;
    deploy(world, &Fs::new())
}

pub fn next_release(world: &World) -> Result<()> {
    machine(world)?;
    release(world, 2)
}

pub fn next_release_of_two(world: &World) -> Result<()> {
    next_release(world)?;
    deploy(world, &Fs::new())?;
    release(world, 3)
}

/// Two deployments, the spare of a third, and a release to be deployed.
pub fn with_spare(world: &World) -> Result<()> {
    next_release_of_two(world)?;
    deploy(world, &Fs::new())?;
    release(world, 4)
}

/// Seals tell of inodes: after the world was put back they are others.
pub fn seal_spare(world: &World) -> Result<()> {
    let (sysroot, lock) = world.locked(&Fs::new())?;
    sysroot.spare_drop(&lock, STATEROOT)?;
    sysroot.spare_prepare(&lock, STATEROOT)?;
    Ok(())
}

/// The same, and the next deploy will convert it.
pub fn seal_to_recycle(world: &World) -> Result<()> {
    seal_spare(world)?;
    let (sysroot, _lock) = world.locked(&Fs::new())?;
    let plan = sysroot.plan_deploy(&options(), &builder())?.tree;
    match plan.method {
        TreeMethod::Recycle => Ok(()),
        TreeMethod::Full => Err(format!("it would not be recycled: {}", plan.reason).into()),
    }
}

/// Where the deployment at `index` has its `etc`.
fn etc(world: &World, index: usize) -> Result<PathBuf> {
    let path = world.sysroot(&Fs::new())?.deployment(index)?.path();
    Ok(world.live("sysroot").join(path).join("etc"))
}

/// As [`with_spare`], with an `etc` that both sides changed.
pub fn with_conflicts(world: &World) -> Result<()> {
    with_spare(world)?;
    let etc = etc(world, 0)?;
    fs::write(etc.join("os.conf"), "local=1\n")?;
    fs::write(etc.join("local.conf"), "local\n")?;
    fs::create_dir(etc.join("local.d"))?;
    fs::write(etc.join("local.d/one"), "one\n")?;
    fs::remove_file(etc.join("app.d/one.conf"))?;
    world.tree.write("usr/etc/app.d/one.conf", "changed on the other side\n");
    world.tree.write("usr/etc/local.conf", "a default of that name\n");
    world.tree.write("usr/etc/new.d/conf", "new\n");
    release(world, 5)
}

/// The first half of a deploy in two buffers.
pub fn retire_ahead(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    let builder = builder();
    let plan = sysroot.plan_deploy(&options(), &builder)?;
    sysroot.retire_ahead(&lock, &plan, &builder)?;
    Ok(())
}

/// What a deploy leaves that died just before its end, and a file that has nobody.
pub fn with_clutter(world: &World) -> Result<()> {
    with_spare(world)?;
    world.save("whole")?;
    let counting = Fs::new();
    deploy(world, &counting)?;
    world.restore("whole")?;
    seal_spare(world)?;
    let at = counting.mutations() * 2 / 3;
    let dying = Fs::with_fault(Fault { at, kind: FaultKind::Die });
    match deploy(world, &dying) {
        Err(_) => Ok(()),
        Ok(()) => Err("the deploy did not die".into()),
    }
}

pub fn cleanup(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    sysroot.cleanup(&lock, &builder(), CleanupOptions { prune: true })?;
    Ok(())
}

/// Three deployments.
pub fn with_three(world: &World) -> Result<()> {
    machine(world)?;
    let retain = Retain { all: true, ..Retain::default() };
    for version in 2..=3 {
        release(world, version)?;
        deploy_with(world, &Fs::new(), &DeployOptions { retain, ..options() }, &builder())?;
    }
    Ok(())
}

/// Takes the second deployment away, if it is still the one it was.
pub fn undeploy(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    if sysroot.deployments().len() == 3 {
        sysroot.undeploy(&lock, 1, &builder())?;
    } else {
        sysroot.cleanup(&lock, &builder(), CleanupOptions { prune: true })?;
    }
    Ok(())
}

/// Puts the deployment of the first release first.
pub fn set_default(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    let is_first = |path: String| world.live("sysroot").join(path).join("usr/lib/of-2").exists();
    let oldest = sysroot.deployments().iter().position(|d| !is_first(d.path()));
    let oldest = oldest.ok_or("the first release is gone")?;
    sysroot.set_default(&lock, oldest, &builder())?;
    Ok(())
}

const ARGUMENT: &str = "quiet=7";

pub fn set_kargs(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    let mut kargs = sysroot.deployment(1)?.kargs();
    kargs.replace_take(ARGUMENT);
    sysroot.set_kargs(&lock, 1, &kargs, &builder())?;
    Ok(())
}

pub fn kargs_in_place(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    let mut kargs = sysroot.deployment(0)?.kargs();
    kargs.replace_take(ARGUMENT);
    Ok(sysroot.set_kargs_in_place(&lock, 0, &kargs)?)
}

pub fn pin(world: &World, fs: &Fs) -> Result<()> {
    let (mut sysroot, lock) = world.locked(fs)?;
    sysroot.set_pinned(&lock, 2, true)?;
    Ok(())
}

/// The machine runs its only deployment, and has another release.
pub fn running(world: &World) -> Result<()> {
    next_release(world)?;
    world.booted.store(true, Relaxed);
    let etc = etc(world, 0)?;
    fs::write(etc.join("local.conf"), "local\n")?;
    Ok(fs::remove_file(etc.join("app.d/one.conf"))?)
}

pub fn staged(world: &World) -> Result<()> {
    running(world)?;
    stage(world, &Fs::new())?;
    fs::create_dir_all(world.live("run"))?;
    let booted = etc(world, 1)?;
    Ok(fs::write(booted.join("late.conf"), "written after it was staged\n")?)
}

pub fn stage(world: &World, fs: &Fs) -> Result<()> {
    fs::create_dir_all(world.live("run"))?;
    let options = DeployOptions { stage: true, ..options() };
    deploy_with(world, fs, &options, &builder()).map(drop)
}

/// As at shutdown; where the state is gone it is staged again.
pub fn finalize(world: &World, fs: &Fs) -> Result<()> {
    let finish = || -> Result<Finalized> {
        let (mut sysroot, lock) = world.locked(fs)?;
        Ok(sysroot.finalize_staged(&lock, &builder())?)
    };
    if let Finalized::Done(_) = finish()? {
        return Ok(());
    }
    stage(world, fs)?;
    match finish()? {
        Finalized::Done(_) => Ok(()),
        other => Err(format!("not finalized: {other:?}").into()),
    }
}

pub fn prepare_spare(world: &World, fs: &Fs) -> Result<()> {
    let (sysroot, lock) = world.locked(fs)?;
    sysroot.spare_prepare(&lock, STATEROOT)?;
    match sysroot.spare_verify(STATEROOT, Trust::Full)? {
        None => Ok(()),
        Some(problem) => Err(format!("the spare that was prepared: {problem}").into()),
    }
}

pub fn drop_spare(world: &World, fs: &Fs) -> Result<()> {
    let (sysroot, lock) = world.locked(fs)?;
    sysroot.spare_drop(&lock, STATEROOT)?;
    Ok(())
}
