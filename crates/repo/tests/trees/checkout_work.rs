//! What a checkout costs and how it fails.

use std::fs;

use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_repo::checkout::{CheckoutMode, CheckoutOptions, checkout};
use trefoil_repo::{Repo, RepoMode};

use crate::support::{Bench, file, modes};

fn options(mode: RepoMode) -> CheckoutOptions {
    let mode = match mode {
        RepoMode::BareUserOnly | RepoMode::BareUser => CheckoutMode::User,
        _ => CheckoutMode::None,
    };
    CheckoutOptions { mode, ..CheckoutOptions::default() }
}

fn bench(mode: RepoMode, files: usize) -> Bench {
    let bench = Bench::new(mode);
    for i in 0..files {
        file(&bench.path(&format!("tree/dir{}/file{i}", i % 4)), format!("{i}").as_bytes(), 0o644);
    }
    bench.commit("tree");
    bench
}

/// Guards the hot path: a linked file of a bare repository costs one stat and one link, and
/// nothing is opened, read or written for it.
#[test]
fn linking_costs_two_calls_a_file() {
    for mode in modes() {
        if !matches!(mode, RepoMode::Bare | RepoMode::BareUserOnly) {
            continue;
        }
        let cost = |files: usize| {
            let bench = bench(mode, files);
            let fs = Fs::new();
            let repo = Repo::open(fs.open_dir(bench.path("repo")).unwrap()).unwrap();
            let parent = fs.open_dir(bench.path(".")).unwrap();
            let before = fs.counters();
            let stats =
                checkout(&repo, &options(mode), bench.tree("tree"), &parent, "out").unwrap();
            assert_eq!((stats.links, stats.dirs, stats.copies), (files as u64, 5, 0));
            fs.counters().since(&before)
        };
        let (few, many) = (cost(40), cost(140));
        assert_eq!(many.links - few.links, 100);
        assert_eq!(many.stats - few.stats, 100);
        assert_eq!(many.opens, few.opens);
        assert_eq!(many.bytes_written, few.bytes_written);
        assert_eq!(many.mkdirs, few.mkdirs);
        assert_eq!(many.fsyncs + many.syncfs, 0);
    }
}

/// Guards that a failure at any step is reported, and that the objects survive it untouched.
#[test]
fn failing_anywhere_is_an_error() {
    for mode in modes() {
        let bench = bench(mode, 8);
        let mut at = 1;
        loop {
            let fs = Fs::with_fault(Fault { at, kind: FaultKind::Fail(28) });
            let repo = Repo::open(fs.open_dir(bench.path("repo")).unwrap()).unwrap();
            let parent = fs.open_dir(bench.path(".")).unwrap();
            let result = checkout(&repo, &options(mode), bench.tree("tree"), &parent, "out");
            if !fs.fault_struck() {
                result.unwrap();
                break;
            }
            assert!(result.is_err(), "{mode}: failing operation {at} went unnoticed");
            let _ = fs::remove_dir_all(bench.path("out"));
            at += 1;
        }
        assert!(at > 8, "{mode}: only {at} operations");
        bench.ostree_ok(&["fsck", "-q"]);
    }
}

/// Guards that an object which is missing is named, not skipped.
#[test]
fn missing_object_is_named() {
    for mode in modes() {
        let bench = bench(mode, 4);
        let listed = bench.ostree_ok(&["ls", "-C", "tree", "/dir0/file0"]);
        let checksum = listed.split_whitespace().nth(4).unwrap();
        let suffix = if mode == RepoMode::Archive { "filez" } else { "file" };
        let (dir, rest) = checksum.split_at(2);
        fs::remove_file(bench.path(&format!("repo/objects/{dir}/{rest}.{suffix}"))).unwrap();
        let error = bench.checkout(&options(mode), "tree", "/", "out").unwrap_err();
        assert!(error.to_string().contains(checksum), "{mode}: {error}");
    }
}

const EMLINK: i32 = 31;
const EXDEV: i32 = 18;

/// Guards the fallback: an object that cannot take one more link, or lies on another file
/// system, is copied, and is an error where links are required.
#[test]
fn what_cannot_be_linked_is_copied() {
    for mode in modes().into_iter().filter(|mode| *mode != RepoMode::Archive) {
        let bench = bench(mode, 8);
        for (errno, require_hardlinks) in [(EMLINK, false), (EXDEV, false), (EMLINK, true)] {
            let options = CheckoutOptions { require_hardlinks, ..options(mode) };
            let copied = (1..100).find_map(|at| {
                let fs = Fs::with_fault(Fault { at, kind: FaultKind::Fail(errno) });
                let repo = Repo::open(fs.open_dir(bench.path("repo")).unwrap()).unwrap();
                let parent = fs.open_dir(bench.path(".")).unwrap();
                bench.clean(&["out"]);
                let result = checkout(&repo, &options, bench.tree("tree"), &parent, "out");
                if fs.fault_struck() { result.ok() } else { None }
            });
            let Some(stats) = copied else {
                assert!(require_hardlinks, "{mode}: nothing was copied");
                continue;
            };
            assert!(!require_hardlinks, "{mode}: copied although links are required");
            assert_eq!((stats.links, stats.copies), (7, 1), "{mode}");
            for i in 0..8 {
                let path = bench.path(&format!("out/dir{}/file{i}", i % 4));
                assert_eq!(fs::read_to_string(path).unwrap(), i.to_string());
            }
        }
    }
}
