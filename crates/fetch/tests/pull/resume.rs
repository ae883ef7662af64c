use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_fsat::{Fault, FaultKind, Fs};

use crate::ground::{Ground, main_ref};
use crate::server::Reply;

/// How often each object was served in full.
fn served(ground: &Ground) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for request in ground.server.take_requests() {
        let object = request.path.starts_with("repo/objects/");
        if object && !request.path.ends_with(".commitmeta") {
            *counts.entry(request.path).or_default() += 1;
        }
    }
    counts
}

/// A server that goes away in the middle, again and again: what came in is not asked for again.
/// What was under way when it broke off may be.
#[test]
fn a_pull_that_broke_off_goes_on() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(30);
    let commit = ground.commit();
    for mode in ["archive", "bare-user"] {
        ground.init(mode, mode);
        let mut asked: BTreeMap<String, u64> = BTreeMap::new();
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(attempts < 20, "it never comes to an end");
            let left = Arc::new(AtomicU64::new(25));
            ground.server.lie(move |request| {
                let is_object = request.path.starts_with("repo/objects/");
                match is_object
                    && left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_err()
                {
                    true => Reply::Status(418),
                    false => Reply::Honest,
                }
            });
            let before = ground.outside_tmp(mode);
            let pulled = ground.pull(mode, &main_ref());
            for (path, times) in served(&ground) {
                *asked.entry(path).or_default() += times;
            }
            if pulled.is_ok() {
                break;
            }
            let mut after = ground.outside_tmp(mode);
            after.retain(|path, _| !path.starts_with("state"));
            assert_eq!(
                after,
                before.into_iter().filter(|(p, _)| !p.starts_with("state")).collect()
            );
        }
        assert!(attempts > 3, "it broke off only {} times", attempts - 1);
        // 25 answers an attempt, less those under way at its end.
        let objects = asked.len() as u64;
        let total: u64 = asked.values().sum();
        assert!(total <= objects + attempts * 17, "{total} requests for {objects} objects");
        assert_eq!(ground.ostree(mode, &["rev-parse", "origin:main"]), commit);
        ground.fsck(mode);
        ground.server.honest();
    }
}

/// Killed at any point, here or there: the next pull succeeds, and libostree finds nothing wrong
/// with the repository, neither before nor after.
#[test]
fn killed_anywhere() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(6);
    let commit = ground.commit();
    ground.init("clean", "bare-user");
    let counting = Fs::new();
    ground.pull_to(&ground.open_with("clean", &counting), &main_ref()).expect("pull");
    let steps = counting.mutations();
    for at in (1..=steps).step_by((steps as usize / 12).max(1)) {
        let name = format!("killed{at}");
        ground.init(&name, "bare-user");
        let dying = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        // The directory of the cache may be what fails.
        let repo = ground.open_with(&name, &dying);
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ground.pull_to(&repo, &main_ref()).is_err()
        }));
        assert!(died.unwrap_or(true) || !dying.fault_struck(), "step {at}");
        drop(repo);
        ground.fsck(&name);
        ground.pull(&name, &main_ref()).expect("the next pull");
        assert_eq!(ground.ostree(&name, &["rev-parse", "origin:main"]), commit);
        ground.fsck(&name);
    }
}

/// An object in the staging directory that is not what its name says is fetched again.
#[test]
fn what_was_left_is_not_trusted() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(3);
    ground.commit();
    ground.init("ours", "archive");
    ground.server.lie(|request| match request.path.ends_with(".filez") && request.nth == 0 {
        true => Reply::Status(418),
        false => Reply::Honest,
    });
    ground.pull("ours", &main_ref()).expect_err("no files");
    let tmp = ground.path("ours/tmp");
    let stage = std::fs::read_dir(&tmp)
        .expect("tmp")
        .map(|e| e.expect("entry").path())
        .find(|p| p.is_dir() && p.file_name().is_some_and(|n| n.to_string_lossy().contains("-p")))
        .expect("a staging directory");
    let mut spoiled = 0;
    for entry in std::fs::read_dir(&stage).expect("stage") {
        let path = entry.expect("entry").path();
        std::fs::write(&path, b"spoiled").expect("write");
        spoiled += 1;
    }
    assert!(spoiled > 0);
    ground.server.honest();
    ground.pull("ours", &main_ref()).expect("pull");
    ground.fsck("ours");
    assert!(!stage.exists(), "nothing is left behind");
}
