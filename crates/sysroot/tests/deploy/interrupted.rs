//! A deploy that dies at any mutating operation leaves the old or the new list, whole, and the
//! next run succeeds without help.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Bench;
use trefoil_fsat::{Fault, FaultKind, Fs};

/// Hundreds of deploys, each with its syncs: on a disk they would take minutes.
pub(super) const MEMORY: &str = "/dev/shm";

/// Guards: the invariant of the design, with the fault injected at each operation in turn
/// (every one near the swaps, a sample of the many links of the checkout).
#[test]
fn dying_anywhere_keeps_the_sysroot_whole() {
    let Some(bench) = Bench::new_in(Path::new(MEMORY)) else { return };
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    bench.tree.write("usr/bin/tool", "two");
    bench.tree.set_kernel("6.2.0", "kernel two", Some("initramfs two"));
    bench.commit(Some("2"));
    let before = names(&bench);
    let refs_before = deployment_refs(&bench);
    let saved = bench.ours().with_extension("saved");
    copy(&bench.ours(), &saved);

    let fs = Fs::new();
    bench.try_deploy(&fs, |_| {}).expect("undisturbed");
    let after = names(&bench);
    assert_ne!(before, after);
    let mut swapped = 0;
    for kind in [FaultKind::Die, FaultKind::Fail(28)] {
        for at in 1..=fs.mutations() {
            restore(&saved, &bench.ours());
            let faulty = Fs::with_fault(Fault { at, kind });
            let outcome = bench.try_deploy(&faulty, |_| {});
            let found = names(&bench);
            assert!(found == before || found == after, "{kind:?} at {at}: {found:?}");
            if deployment_refs(&bench) != refs_before {
                // A ref is named once its bytes are durable: an empty one is in everybody's way.
                assert!(faulty.counters().syncfs > 0, "{kind:?} at {at}: a ref before any sync");
            }
            assert_bootable(&bench, &found);
            if outcome.is_ok() {
                assert_eq!(found, after, "{kind:?} at {at}: success claimed");
            }
            swapped += u64::from(found == after);
            bench.deploy(|_| {});
            assert_eq!(bench.open().deployments().len(), 2, "{kind:?} at {at}: next run");
            assert_no_leftovers(&bench);
        }
    }
    assert!(swapped > 0, "no fault struck after the swap");
}

/// Guards what `trust power-cut` found: a power cut in a deploy may leave the origin of the new
/// tree with its length and without its bytes, and neither deploy nor cleanup fails for it.
#[test]
fn a_torn_origin_is_in_nobodys_way() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    let deploy = bench.ours().join("ostree/deploy/testos/deploy");
    let name = names(&bench).remove(0);
    let torn = name.replace(".0", ".7");
    for bytes in [&[0; 40][..], &[0xff; 9], b""] {
        fs::create_dir(deploy.join(&torn)).expect("create");
        fs::write(deploy.join(format!("{torn}.origin")), bytes).expect("write");
        bench.deploy(|_| {});
        assert!(!deploy.join(&torn).exists(), "{bytes:?}");
        assert!(!deploy.join(format!("{torn}.origin")).exists(), "{bytes:?}");
    }
}

pub(super) fn names(bench: &Bench) -> Vec<String> {
    bench.open().deployments().iter().map(|d| d.name()).collect()
}

fn deployment_refs(bench: &Bench) -> Vec<String> {
    let heads = bench.ours().join("ostree/repo/refs/heads/ostree");
    let output = Command::new("find").arg(heads).args(["-type", "f"]).output().expect("find");
    let mut refs: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect();
    refs.sort();
    refs
}

/// What every entry names is there: kernel, initramfs, tree, /etc, origin.
pub(super) fn assert_bootable(bench: &Bench, names: &[String]) {
    let sysroot = bench.open();
    for (deployment, name) in sysroot.deployments().iter().zip(names) {
        for key in ["linux", "initrd"] {
            let path = deployment.entry.get(key).expect("named in the entry");
            let path = bench.ours().join("boot").join(path.trim_start_matches('/'));
            assert!(
                fs::metadata(&path).expect("kernel file").len() > 0,
                "{name}: {}",
                path.display()
            );
        }
        let root = bench.ours().join(deployment.path());
        for path in ["usr/bin/tool", "usr/etc/os.conf", "etc/os.conf", "etc/app.d/one.conf"] {
            assert!(root.join(path).exists(), "{name}: {path}");
        }
        assert!(bench.ours().join(deployment.origin_path()).exists(), "{name}: origin");
    }
}

fn assert_no_leftovers(bench: &Bench) {
    let deploy = bench.ours().join("ostree/deploy/testos/deploy");
    let trees = fs::read_dir(&deploy).expect("list").count();
    assert_eq!(trees, 4, "two trees and two origins, nothing else");
    let kernels = fs::read_dir(bench.ours().join("boot/ostree")).expect("list").count();
    let sums: std::collections::BTreeSet<_> =
        bench.open().deployments().iter().map(|d| d.bootcsum).collect();
    assert_eq!(kernels, sums.len());
}

pub(super) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("start cp");
    assert!(status.success());
}

pub(super) fn restore(saved: &Path, to: &Path) {
    fs::remove_dir_all(to).expect("remove");
    copy(saved, to);
}
