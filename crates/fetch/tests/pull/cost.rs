use trefoil_repo::pull::PullOptions;

use crate::ground::{Ground, main_ref};

/// The whole tree comes over, into every mode, and libostree finds nothing wrong with it.
#[test]
fn first_pull_is_whole() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(20);
    ground.write("empty", b"");
    ground.write("large", &vec![7; 3 << 20]);
    let noise: Vec<u8> =
        (0..2_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    ground.write("noise", &noise);
    let commit = ground.commit();
    for mode in ["archive", "bare-user", "bare-user-only"] {
        ground.init(mode, mode);
        let stats = ground.pull(mode, &main_ref()).expect("pull");
        assert_eq!(ground.ostree(mode, &["rev-parse", "origin:main"]), commit, "{mode}");
        ground.fsck(mode);
        // 60 files of the tree, three more, a link; equal ones come once.
        assert_eq!(stats.content_fetched, 64, "{mode}");
        assert_eq!(ground.outside_tmp(mode).keys().filter(|p| p.starts_with("state")).count(), 0);
    }
}

/// Ten changes cost as much in a tree of 40 directories as in one of 400: so many requests, and
/// about as many bytes. Nothing that is here is asked for.
#[test]
fn changes_cost_the_same_in_a_larger_tree() {
    let Some(small) = Ground::new() else { return };
    let Some(large) = Ground::new() else { return };
    let cost = |ground: &Ground, dirs: usize| {
        ground.tree(dirs);
        ground.commit();
        ground.init("ours", "bare-user");
        ground.pull("ours", &main_ref()).expect("first pull");
        for n in 0..10 {
            ground.write(&format!("d{}/e{}/a", n % 7, n), format!("changed {n}").as_bytes());
        }
        ground.commit();
        ground.server.take_counts();
        let stats = ground.pull("ours", &main_ref()).expect("second pull");
        ground.fsck("ours");
        assert_eq!(stats.content_fetched, 10);
        // The root, seven directories, ten below them; the commit, and that it has no signature.
        assert_eq!(stats.metadata_fetched, 1 + 7 + 10 + 2);
        let counts = ground.server.take_counts();
        assert_eq!(stats.requests, counts.0);
        counts
    };
    let (few, few_bytes) = cost(&small, 40);
    let (many, many_bytes) = cost(&large, 400);
    assert_eq!(few, many);
    // 30 objects, the summary, that it has no signatures, and that there is no list of deltas.
    assert_eq!(few, 33);
    // Directories above the changes list more names.
    assert!(many_bytes < few_bytes + 400 * 120, "{few_bytes} bytes, then {many_bytes}");
}

/// A pull that has nothing to fetch asks for the summary and the signatures only.
#[test]
fn nothing_new_costs_three_requests() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(5);
    ground.commit();
    ground.init("ours", "bare-user");
    ground.pull("ours", &main_ref()).expect("pull");
    ground.server.take_counts();
    let stats = ground.pull("ours", &main_ref()).expect("pull");
    assert_eq!((stats.content_fetched, stats.dirtrees_scanned), (0, 0));
    assert_eq!(ground.server.take_counts().0, 3);
}

/// A branch that is new here is compared with one of a similar name that is here in full, and so
/// is a ref of a collection that is mirrored: only what differs is looked into.
#[test]
fn any_whole_commit_is_a_base() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(120);
    ground.commit();
    ground.write("d1/e1/a", b"another");
    let tree = format!("--tree=dir={}", ground.path("tree").display());
    let canonical = ["--owner-uid=0", "--owner-gid=0", "--no-xattrs"];
    let commit = |branch: &str| {
        let words = ["commit", "-b", branch, "-s", "subject", "--parent=none", &tree];
        ground.ostree("srv/repo", &[&words[..], &canonical].concat());
        ground.ostree("srv/repo", &["summary", "-u"]);
    };
    commit("main-next");
    ground.init("ours", "bare-user");
    ground.pull("ours", &main_ref()).expect("first pull");
    let next = PullOptions { refs: vec!["main-next".into()], ..main_ref() };
    let stats = ground.pull("ours", &next).expect("pull of another branch");
    // The root, and the two directories above the change.
    assert_eq!((stats.dirtrees_scanned, stats.content_fetched), (3, 1));
    ground.fsck("ours");

    ground.ostree("srv/repo", &["config", "set", "core.collection-id", "org.example.Os"]);
    let bound = |text: &str| {
        ground.write("d2/e2/a", text.as_bytes());
        let words = ["commit", "-b", "bound", "-s", "subject", "--parent=none", &tree];
        ground.ostree("srv/repo", &[&words[..], &canonical].concat());
        ground.ostree("srv/repo", &["summary", "-u"]);
    };
    bound("one");
    ground.init("mirror", "archive");
    let mirror = PullOptions {
        mirror: true,
        refs: vec!["bound".into()],
        verify_bindings: false,
        ..main_ref()
    };
    ground.pull("mirror", &mirror).expect("first pull");
    let mirrored = ground.ostree("mirror", &["refs", "--collections"]);
    assert!(mirrored.contains("(org.example.Os, bound)"), "{mirrored}");
    bound("two");
    let stats = ground.pull("mirror", &mirror).expect("second pull");
    assert_eq!((stats.dirtrees_scanned, stats.content_fetched), (3, 1));
    ground.fsck("mirror");

    // A delta from nothing is for those who have nothing of the ref.
    let delta = || {
        ground.ostree("srv/repo", &["static-delta", "generate", "--empty", "bound"]);
        ground.ostree("srv/repo", &["summary", "-u"]);
    };
    delta();
    ground.init("files", "bare-user");
    let stats = ground.pull("files", &mirror).expect("first pull");
    assert!(stats.delta_parts_fetched > 0, "{stats:?}");
    bound("three");
    delta();
    let stats = ground.pull("files", &mirror).expect("second pull");
    assert_eq!((stats.delta_parts_fetched, stats.content_fetched), (0, 1));
    ground.fsck("files");
}
