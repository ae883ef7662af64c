//! What other programs, and runs that died, do to what a deploy relies on.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_repo::prune::{PruneOptions, plan_prune};
use trefoil_repo::traverse::Depth;
use trefoil_sysroot::deploy::DeployOptions;
use trefoil_sysroot::spare::{SpareBuilder, Trust};

use super::interrupted::{assert_bootable, names};
use crate::common::{Bench, REF, STATEROOT, builder};

/// Guards that a stateroot made by half is finished by the next run.
#[test]
fn half_a_stateroot_is_finished() {
    let Some(bench) = Bench::new() else { return };
    for at in 1.. {
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let name = format!("os{at}");
        let make = |fs: &Fs| {
            let mut sysroot = bench.open_with(fs)?;
            let lock = sysroot.lock(std::time::Duration::from_secs(5))?;
            sysroot.init_stateroot(&lock, &name)
        };
        let made = make(&fs);
        if !fs.fault_struck() {
            made.expect("nothing disturbed it");
            make(&Fs::new()).expect_err("it is whole: the name is taken");
            return;
        }
        let var = bench.ours().join(format!("ostree/deploy/{name}/var"));
        if !var.exists() {
            make(&Fs::new()).expect("it is finished");
            assert!(var.is_dir());
        }
    }
}

/// Guards that a commit pruned between plan and apply is told, and changes nothing that boots.
#[test]
fn a_commit_pruned_after_the_plan_is_told() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    bench.tree.write("usr/bin/tool", "two");
    bench.commit(Some("2"));
    let before = names(&bench);
    let mut sysroot = bench.open();
    let lock = bench.lock(&mut sysroot);
    let mut options = DeployOptions::new(REF);
    options.stateroot = Some(STATEROOT.into());
    let plan = sysroot.plan_deploy(&options, &builder()).expect("a plan");
    let other = bench.open();
    let first = other.deployments()[0].checksum;
    other.repo().set_ref(&REF.parse().expect("a ref"), Some(&first)).expect("moved");
    let all = PruneOptions { refs_only: true, depth: Depth::Parents(0), ..PruneOptions::default() };
    plan_prune(other.repo(), &all).expect("a plan").apply().expect("pruned");
    let clock = || std::time::Duration::ZERO;
    let mut account = trefoil_sysroot::Account::new(sysroot.fs(), &clock);
    let fs = sysroot.fs().clone();
    let error = sysroot.apply_deploy(&lock, plan, &builder(), &mut account);
    assert!(error.expect_err("it is gone").to_string().contains("No such metadata object"));
    assert!(fs.mutations() > 0);
    assert_eq!(names(&bench), before);
    assert_bootable(&bench, &before);
}

/// Guards that a spare dropped by half does not keep its commit for ever.
#[test]
fn a_spare_dropped_by_half_lets_its_commit_go() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    let refs = bench.ours().join("ostree/repo/refs/heads/trefoil/spare/testos");
    for at in 1.. {
        let mut sysroot = bench.open();
        let lock = bench.lock(&mut sysroot);
        sysroot.spare_prepare(&lock, STATEROOT).expect("prepare");
        assert!(refs.exists());
        drop((sysroot, lock));
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let drop_spare = |fs: &Fs| {
            let mut sysroot = bench.open_with(fs)?;
            let lock = sysroot.lock(std::time::Duration::from_secs(5))?;
            sysroot.spare_drop(&lock, STATEROOT)
        };
        let dropped = drop_spare(&fs);
        drop_spare(&Fs::new()).expect("the next run");
        assert!(!refs.exists(), "{at}");
        if !fs.fault_struck() {
            dropped.expect("nothing disturbed it");
            return;
        }
    }
}

/// Guards that all state of ours may be deleted: speed is lost and nothing else.
#[test]
fn deleting_our_state_loses_no_data() {
    let Some(bench) = Bench::new() else { return };
    let builder = SpareBuilder::new(Trust::Stat, true);
    let deploy = || {
        let mut sysroot = bench.open();
        let lock = bench.lock(&mut sysroot);
        let mut options = DeployOptions::new(REF);
        options.stateroot = Some(STATEROOT.into());
        let plan = sysroot.plan_deploy(&options, &builder).expect("a plan");
        let clock = || std::time::Duration::ZERO;
        let mut account = trefoil_sysroot::Account::new(sysroot.fs(), &clock);
        sysroot.apply_deploy(&lock, plan, &builder, &mut account).expect("a deploy");
    };
    for version in 0..4 {
        bench.tree.write("usr/bin/version", &format!("{version}"));
        bench.commit(None);
        deploy();
    }
    let (listed, ostree) = (names(&bench), bench.ours().join("ostree"));
    fs::remove_dir_all(ostree.join("trefoil")).expect("there is state");
    fs::remove_dir_all(ostree.join("repo/refs/heads/trefoil")).expect("there are refs");
    let _ = fs::remove_dir_all(ostree.join("repo/trefoil"));
    assert_eq!(names(&bench), listed);
    assert_bootable(&bench, &listed);
    let repo = format!("--repo={}", ostree.join("repo").display());
    bench.ostree.run(&["fsck", "-q", &repo]);
    bench.tree.write("usr/bin/version", "last");
    bench.commit(None);
    deploy();
    let newest = bench.ours().join(bench.open().deployments()[0].path());
    assert_eq!(fs::read_to_string(newest.join("usr/bin/version")).expect("read"), "last");
    assert!(bench.ostree_on_ours().admin(&["status"]).contains(&names(&bench)[0]));
}

/// Guards that readers, who take no lock, never fail because the list is just being replaced.
#[test]
fn readers_are_never_in_the_way() {
    let Some(bench) = Bench::new_in(std::path::Path::new(super::interrupted::MEMORY)) else {
        return;
    };
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    let (bench, over) = (&bench, &AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut looks = 0;
            while !over.load(Relaxed) {
                bench.open_with(&Fs::new())?;
                looks += 1;
            }
            Ok::<u32, trefoil_sysroot::SysrootError>(looks)
        });
        let fs = Fs::new();
        let changed = (0..40).try_for_each(|_| bench.try_deploy(&fs, |_| {}).map(drop));
        over.store(true, Relaxed);
        changed.expect("each deploy");
        assert!(reader.join().expect("the reader").expect("each look") > 40);
    });
}
