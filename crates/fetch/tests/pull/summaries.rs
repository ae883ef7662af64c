use trefoil_repo::pull::{PullOptions, PullRef};
use trefoil_repo::traverse::Depth;

use crate::ground::{Ground, chain, main_ref};
use crate::server::Reply;

/// A signed summary that did not change is not fetched again: the server is asked whether it is
/// the newest, and libostree's cache says how.
#[test]
fn signed_summaries_are_kept() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(2);
    ground.commit();
    // Nobody verifies it here: the cache goes by whether it is there.
    std::fs::write(ground.path("srv/repo/summary.sig"), b"signature").expect("write");
    ground.init("ours", "archive");
    ground.pull("ours", &main_ref()).expect("pull");
    let kept = std::fs::read(ground.path("ours/tmp/cache/summaries/origin")).expect("kept");
    assert_eq!(kept, std::fs::read(ground.path("srv/repo/summary")).expect("summary"));
    ground.server.take_requests();
    ground.pull("ours", &main_ref()).expect("pull");
    let asked: Vec<_> = ground.server.take_requests().into_iter().map(|r| r.path).collect();
    assert!(!asked.contains(&"repo/summary".to_string()), "{asked:?}");
    // A new summary under the old signature is a matter of the signature; a new one of both is
    // fetched.
    ground.write("new", b"file");
    let commit = ground.commit();
    std::fs::write(ground.path("srv/repo/summary.sig"), b"other signature").expect("write");
    ground.pull("ours", &main_ref()).expect("pull");
    assert_eq!(ground.ostree("ours", &["rev-parse", "origin:main"]), commit);
}

/// Mirroring without naming refs takes all of the summary, and the summary itself.
#[test]
fn a_mirror_has_everything() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(2);
    let commit = ground.commit();
    ground.ostree("srv/repo", &["refs", "--create=other", "main"]);
    ground.ostree("srv/repo", &["summary", "-u"]);
    ground.init("ours", "archive");
    let options =
        PullOptions { mirror: true, refs: Vec::new(), verify_bindings: false, ..main_ref() };
    ground.pull("ours", &options).expect("pull");
    for name in ["main", "other"] {
        assert_eq!(ground.ostree("ours", &["rev-parse", name]), commit);
    }
    assert_eq!(
        std::fs::read(ground.path("ours/summary")).expect("ours"),
        std::fs::read(ground.path("srv/repo/summary")).expect("theirs")
    );
    ground.fsck("ours");
    std::fs::remove_file(ground.path("srv/repo/summary")).expect("remove");
    let error = ground.pull("ours", &options).expect_err("no summary");
    assert!(chain(&error).contains("does not have a summary"));
}

/// Histories, parts of trees and commits alone, with their marks.
#[test]
fn depth_parts_and_marks() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(8);
    let commits: Vec<String> = (0..3)
        .map(|n| {
            ground.write("count", format!("{n}").as_bytes());
            ground.commit()
        })
        .collect();
    ground.init("ours", "archive");
    let marks = || std::fs::read_dir(ground.path("ours/state")).map_or(0, Iterator::count);
    let count = |suffix: &str| {
        ground.objects("ours").iter().filter(|p| p.to_string_lossy().ends_with(suffix)).count()
    };
    let only = PullOptions { commit_only: true, ..main_ref() };
    ground.pull("ours", &only).expect("pull");
    assert_eq!((count(".commit"), count(".dirtree"), marks()), (1, 0, 1));
    let part = PullOptions { subdirs: vec!["/d1/e1".to_string()], ..main_ref() };
    ground.pull("ours", &part).expect("pull");
    assert_eq!((count(".filez"), marks()), (3, 1));
    ground.pull("ours", &main_ref()).expect("pull");
    assert_eq!((count(".filez"), marks()), (26, 0));
    ground.fsck("ours");
    let all = PullOptions { depth: Depth::Unlimited, ..main_ref() };
    ground.pull("ours", &all).expect("pull");
    assert_eq!((count(".commit"), marks()), (3, 0));
    ground.fsck("ours");
    // A history may end in the void, a tip may not.
    let object =
        |c: &str| ground.path("srv/repo/objects").join(&c[..2]).join(format!("{}.commit", &c[2..]));
    std::fs::remove_file(object(&commits[0])).expect("remove");
    ground.init("other", "archive");
    ground.pull("other", &all).expect("pull");
    ground.fsck("other");
    let gone = PullOptions { refs: vec![PullRef::from(commits[0].as_str())], ..main_ref() };
    let error = ground.pull("other", &gone).expect_err("no tip");
    assert!(chain(&error).contains("HTTP 404"), "{}", chain(&error));
}

/// Where every ref comes with its commit, a broken summary does not matter.
#[test]
fn a_commit_needs_no_summary() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(1);
    let commit = ground.commit();
    ground.init("ours", "archive");
    ground.server.lie(|request| match request.path.as_str() {
        "repo/summary" => Reply::Content(b"broken".to_vec()),
        _ => Reply::Honest,
    });
    ground.pull("ours", &main_ref()).expect_err("a broken summary");
    let named =
        PullRef { commit: Some(commit.parse().expect("a checksum")), ..PullRef::from("main") };
    let options = PullOptions { refs: vec![named], ..main_ref() };
    ground.pull("ours", &options).expect("pull");
    assert_eq!(ground.ostree("ours", &["rev-parse", "origin:main"]), commit);
}
