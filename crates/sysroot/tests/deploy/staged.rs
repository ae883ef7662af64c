//! Staging and finalization, interrupted anywhere, and what they cost at shutdown.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::path::{Path, PathBuf};

use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_sysroot::{Finalized, SysrootError};

use super::interrupted::{MEMORY, assert_bootable, copy, names, restore};
use crate::common::Bench;

/// A machine that runs version 1 and has version 2 to be staged.
fn bench() -> Option<Bench> {
    bench_in(Path::new(MEMORY))
}

fn bench_in(dir: &Path) -> Option<Bench> {
    let bench = Bench::new_in(dir)?;
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    bench.tree.write("usr/bin/tool", "two");
    bench.tree.write("usr/etc/os.conf", "default=2\n");
    bench.tree.set_kernel("6.2.0", "kernel two", Some("initramfs two"));
    bench.commit(Some("2"));
    Some(bench)
}

/// Where the deployment that runs is in the list: the last.
fn running(bench: &Bench) -> usize {
    names(bench).len() - 1
}

/// Guards: staging that dies or fails anywhere changes nothing that boots, and can be done
/// again, before a reboot and after it.
#[test]
fn staging_interrupted_anywhere() {
    let Some(bench) = bench() else { return };
    let before = names(&bench);
    let saved = bench.ours().with_extension("saved");
    copy(&bench.ours(), &saved);
    let fs = Fs::new();
    bench.stage(&fs, 0).expect("undisturbed");
    for (at, kind) in faults(fs.mutations()) {
        restore(&saved, &bench.ours());
        bench.reboot();
        let outcome = bench.stage(&Fs::with_fault(Fault { at, kind }), 0);
        assert_eq!(names(&bench), before, "{kind:?} at {at}");
        assert_bootable(&bench, &before);
        let staged = bench.open_booted(&Fs::new(), 0).expect("opens").staged().cloned();
        if outcome.is_ok() {
            assert!(staged.is_some(), "{kind:?} at {at}: success claimed");
        }
        if at % 2 == 0 {
            bench.reboot();
        }
        bench.stage(&Fs::new(), 0).expect("the next run succeeds");
        assert!(matches!(bench.finalize(&Fs::new(), 0), Ok(Finalized::Done(_))), "at {at}");
        assert_bootable(&bench, &names(&bench));
    }
}

/// Guards: finalization that dies or fails anywhere leaves the old list or the new one, whole,
/// with `/etc` as the administrator has it.
#[test]
fn finalization_interrupted_anywhere() {
    let Some(bench) = bench() else { return };
    bench.stage(&Fs::new(), 0).expect("staged");
    let etc = bench.ours().join(bench.open().deployments()[0].path()).join("etc");
    fs::write(etc.join("late"), "late").expect("write");
    fs::remove_file(etc.join("app.d/one.conf")).expect("remove");
    let kept = bench.ours().with_extension("run-saved");
    copy(&bench.ours().with_file_name("run"), &kept);
    let before = names(&bench);
    let saved = bench.ours().with_extension("saved");
    copy(&bench.ours(), &saved);
    let fs = Fs::new();
    assert!(matches!(bench.finalize(&fs, 0), Ok(Finalized::Done(_))));
    let after = names(&bench);
    let mut swapped = 0;
    for (at, kind) in faults(fs.mutations()) {
        restore(&saved, &bench.ours());
        bench.reboot();
        copy(&kept, &bench.ours().with_file_name("run"));
        let outcome = bench.finalize(&Fs::with_fault(Fault { at, kind }), 0);
        let found = names(&bench);
        assert!(found == before || found == after, "{kind:?} at {at}: {found:?}");
        if outcome.is_ok() {
            assert_eq!(found, after, "{kind:?} at {at}: success claimed");
        }
        swapped += u64::from(found == after);
        let newest = bench.ours().join(bench.open().deployments()[0].path());
        assert_eq!(fs_text(&newest, "etc/late"), "late", "{kind:?} at {at}");
        if found == after {
            assert_eq!(fs_text(&newest, "etc/os.conf"), "default=2\n");
            assert!(!newest.join("etc/app.d/one.conf").exists());
        }
        bench.reboot();
        bench.stage(&Fs::new(), running(&bench)).expect("the next run succeeds");
        let done = bench.finalize(&Fs::new(), running(&bench));
        assert!(matches!(done, Ok(Finalized::Done(_))), "{kind:?} at {at}");
    }
    assert!(swapped > 0, "no fault struck after the swap");
}

fn fs_text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).expect("it is there")
}

/// Each fault kind at every operation; both kinds would only double the time where they do
/// the same.
fn faults(mutations: u64) -> impl Iterator<Item = (u64, FaultKind)> {
    (1..=mutations).map(|at| (at, if at % 3 == 0 { FaultKind::Fail(28) } else { FaultKind::Die }))
}

/// Guards: at shutdown nothing is left to do but `/etc` as far as it differs, and entries.
#[test]
fn finalization_does_the_least() {
    // In memory all is over within one tick of the clock, and nothing can be believed.
    let Some(bench) = bench_in(&std::env::temp_dir()) else { return };
    for n in 0..200 {
        bench.tree.write(&format!("usr/etc/many/{n}"), "x");
        bench.tree.write(&format!("usr/share/many/{n}"), "y");
    }
    bench.commit(Some("3"));
    bench.stage(&Fs::new(), 0).expect("staged");
    let etc = bench.ours().join(bench.open().deployments()[0].path()).join("etc");
    fs::write(etc.join("late"), "late").expect("write");
    let fs = Fs::new();
    let Ok(Finalized::Done(report)) = bench.finalize(&fs, 0) else { panic!("not finished") };
    let done = fs.counters();
    let etc = report.etc.expect("there is an etc");
    assert_eq!(etc.files_copied, 1, "{etc:?}");
    assert_eq!(done.copies, 0, "no kernel is copied at shutdown: {:?}", done.nonzero());
    assert!(done.creates + done.links < 40, "{:?}", done.nonzero());
}

/// Guards: a `/boot` that is too small is found out when staging, not at shutdown.
#[test]
fn space_in_boot_is_checked_when_staging() {
    let Some(bench) = bench() else { return };
    let large = "initramfs ".repeat(10_000);
    bench.tree.set_kernel("6.2.0", "kernel two", Some(&large));
    bench.commit(Some("3"));
    let Some(_small) = SmallBoot::mount(bench.ours().join("boot")) else { return };
    let error = bench.stage(&Fs::new(), 0);
    match error {
        Err(SysrootError::NoSpace { role: "boot", .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(bench.open_booted(&Fs::new(), 0).expect("opens").staged().is_none());
}

/// A copy of `/boot` on a file system with next to no room.
struct SmallBoot(PathBuf);

impl SmallBoot {
    fn mount(boot: PathBuf) -> Option<SmallBoot> {
        let run = |program: &str, args: &[&str]| {
            std::process::Command::new(program).args(args).status().is_ok_and(|s| s.success())
        };
        let old = boot.with_extension("old");
        let (path, from) = (boot.display().to_string(), format!("{}/.", old.display()));
        fs::rename(&boot, &old).expect("rename");
        fs::create_dir(&boot).expect("make directory");
        if !run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", &path]) {
            trefoil_testkit::ostree::missing("mounting a tmpfs is not allowed here");
            return None;
        }
        let mounted = SmallBoot(boot.clone());
        assert!(run("cp", &["-a", &from, &path]));
        Some(mounted)
    }
}

impl Drop for SmallBoot {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
