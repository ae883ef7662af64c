use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use trefoil_repo::pull::{PullOptions, PullRef, plan_pull_local, pull_local};
use trefoil_repo::traverse::Depth;

use crate::support::{Ground, chain, read};

const MODES: [&str; 4] = ["archive", "bare-user", "bare-user-only", "bare"];

/// What came over passes ostree's fsck and is what ostree brings over, in all pairs of modes; and
/// what was planned, without one call that could change anything.
#[test]
fn all_pairs_of_modes() {
    for from in MODES {
        for to in MODES {
            let Some(ground) = Ground::new() else { return };
            ground.init("repo", from);
            ground.history("repo", 2);
            ground.init("theirs", to);
            ground.init("ours", to);
            let status = ground.ostree("theirs", &["pull-local", "repo"]);
            let (ours, source) = (ground.open("ours"), ground.open("repo"));
            let pair = format!("{from} to {to}");
            let plan = plan_pull_local(&ours, &source, &PullOptions::default());
            let plan = plan.unwrap_or_else(|e| panic!("{pair}: {}", chain(&e)));
            assert_eq!(ours.fs().mutations() + source.fs().mutations(), 0, "{from} to {to}");
            let stats = pull_local(&ours, &source, &PullOptions::default())
                .unwrap_or_else(|e| panic!("{pair}: {}", chain(&e)));
            assert_eq!(plan.stats, stats, "{from} to {to}");
            assert_eq!(ground.objects("ours"), ground.objects("theirs"), "{from} to {to}");
            ground.fsck_clean("ours");
            let imported = format!(
                "{} metadata, {} content objects imported",
                stats.metadata_imported, stats.content_imported
            );
            assert!(status.starts_with(&imported), "{status} / {imported}");
            for name in ["main", "dev"] {
                let rev = |repo: &str| ground.ostree(repo, &["rev-parse", name]);
                assert_eq!(rev("ours"), rev("repo"));
            }
        }
    }
}

/// Between repositories of the same mode a pull makes hard links, also an untrusted one, which
/// verifies them first.
#[test]
fn same_mode_links() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 1);
    for (name, trusted) in [("trusted", true), ("verified", false)] {
        ground.init(name, "archive");
        let options = PullOptions { trusted, ..PullOptions::default() };
        pull_local(&ground.open(name), &ground.open("repo"), &options).expect("pull");
        for object in ground.objects(name).into_iter().filter(|n| n.ends_with(".filez")) {
            let inode =
                |repo: &str| fs::metadata(ground.object(repo, &object)).expect("file").ino();
            assert_eq!(inode(name), inode("repo"), "{name} {object}");
        }
        ground.fsck_clean(name);
    }
}

/// Guards: a file that another user owns never becomes one of ours, trusted or not: he could
/// write to it ever after. libostree copies too, since after 2022.7.
#[test]
fn nothing_of_another_owner_is_linked() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 1);
    chown(ground.path("repo"), Some(1234), Some(1234)).expect("root gives files away");
    for (name, trusted) in [("trusted", true), ("verified", false)] {
        ground.init(name, "archive");
        let options = PullOptions { trusted, ..PullOptions::default() };
        let (dest, source) = (ground.open(name), ground.open("repo"));
        let plan = plan_pull_local(&dest, &source, &options).expect("plan");
        let stats = pull_local(&dest, &source, &options).expect("pull");
        assert_eq!((stats.linked, &plan.stats), (0, &stats));
    }
    for object in ground.objects("repo") {
        let inode = |repo: &str| fs::metadata(ground.object(repo, &object)).expect("file").ino();
        for name in ["trusted", "verified"] {
            assert_ne!(inode(name), inode("repo"), "{name} {object}");
        }
    }
}

/// An untrusted pull refuses a corrupt object and leaves refs alone.
#[test]
fn untrusted_verifies() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "bare-user");
    ground.history("repo", 1);
    let name = ground.objects("repo").into_iter().find(|n| n.ends_with(".file")).expect("file");
    fs::write(ground.object("repo", &name), "tampered with").expect("object");
    ground.init("ours", "bare-user");
    let options = PullOptions { trusted: false, ..PullOptions::default() };
    let error = pull_local(&ground.open("ours"), &ground.open("repo"), &options)
        .expect_err("a corrupt object");
    assert!(chain(&error).contains("Corrupted file object"), "{}", chain(&error));
    assert_eq!(ground.ostree("ours", &["refs"]), "");
    assert!(!ground.objects("ours").iter().any(|n| n.ends_with(".commit")));
}

fn commits_and_marks(ground: &Ground) -> (usize, usize) {
    let commits = ground.objects("ours").iter().filter(|n| n.ends_with(".commit")).count();
    let marks = fs::read_dir(ground.path("ours/state")).map_or(0, Iterator::count);
    (commits, marks)
}

/// Depth and metadata-only pulls mark what is incomplete, and a later pull completes it.
#[test]
fn depth_and_partial_marks() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 3);
    ground.init("ours", "archive");
    let source = ground.open("repo");
    let pull = |depth, commit_only| {
        let options = PullOptions {
            refs: vec![PullRef::from("main")],
            depth,
            commit_only,
            ..PullOptions::default()
        };
        pull_local(&ground.open("ours"), &source, &options).expect("pull");
        commits_and_marks(&ground)
    };
    assert_eq!(pull(Depth::Parents(0), false), (1, 0));
    assert_eq!(pull(Depth::Parents(1), true), (2, 1));
    ground.fsck_clean("ours");
    assert_eq!(pull(Depth::Parents(1), false), (2, 0));
    assert_eq!(pull(Depth::Unlimited, false), (3, 0));
    ground.fsck_clean("ours");
    ground.ostree("repo", &["prune", "--refs-only", "--depth=0"]);
    ground.init("other", "archive");
    let options = PullOptions { depth: Depth::Unlimited, ..PullOptions::default() };
    pull_local(&ground.open("other"), &ground.open("repo"), &options).expect("no parents there");
    ground.fsck_clean("other");
    for name in ground.objects("repo").into_iter().filter(|n| n.ends_with(".commit")) {
        fs::remove_file(ground.object("repo", &name)).expect("commit");
    }
    ground.init("last", "archive");
    pull_local(&ground.open("last"), &ground.open("repo"), &options).expect_err("no tip");
}

/// What fsck deleted comes back with the next pull, though the commit itself was there.
#[test]
fn pull_mends_partial_commits() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 1);
    ground.init("ours", "archive");
    let pull = || pull_local(&ground.open("ours"), &ground.open("repo"), &PullOptions::default());
    pull().expect("pull");
    let name = ground.objects("ours").into_iter().find(|n| n.ends_with(".filez")).expect("file");
    fs::remove_file(ground.object("ours", &name)).expect("object");
    fs::write(ground.object("ours", &name), "whoops").expect("object");
    ground.try_ostree("ours", &["fsck", "--delete", "-q"]);
    assert!(!ground.object("ours", &name).exists());
    pull().expect("pull");
    ground.fsck_clean("ours");
}

/// A second commit costs only its differences: equal directories are not looked at.
#[test]
fn second_commit_reads_only_differences() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    for n in 0..40 {
        ground.write(&format!("tree/d{n}/e/f"), &format!("{n}"));
    }
    ground.commit("repo", "main", 1);
    ground.init("ours", "archive");
    let pull = || {
        pull_local(&ground.open("ours"), &ground.open("repo"), &PullOptions::default())
            .expect("pull")
    };
    assert_eq!(pull().dirtrees_scanned, 81);
    ground.write("tree/d7/e/f", "changed");
    ground.commit("repo", "main", 2);
    let stats = pull();
    assert_eq!(
        (stats.dirtrees_scanned, stats.metadata_imported, stats.content_imported),
        (3, 4, 1)
    );
    let stats = pull();
    assert_eq!((stats.dirtrees_scanned, stats.metadata_imported), (0, 0));
    ground.fsck_clean("ours");
}

/// Only the wanted directories come over, and the commit is marked.
#[test]
fn subdirs_make_partial_commits() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "bare-user");
    ground.history("repo", 1);
    ground.init("ours", "bare-user");
    let options = PullOptions {
        refs: vec![PullRef::from("main")],
        subdirs: vec!["/shared/deep".to_string()],
        ..PullOptions::default()
    };
    pull_local(&ground.open("ours"), &ground.open("repo"), &options).expect("pull");
    assert_eq!(commits_and_marks(&ground), (1, 1));
    let files = ground.objects("ours").iter().filter(|n| n.ends_with(".file")).count();
    assert_eq!(files, 1);
    ground.fsck_clean("ours");
    pull_local(&ground.open("ours"), &ground.open("repo"), &PullOptions::default()).expect("pull");
    assert_eq!(commits_and_marks(&ground), (2, 0));
    ground.fsck_clean("ours");
}

/// Bindings, remote refs, set-id files, and age are refused in ostree's words.
#[test]
fn refusals() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "bare-user");
    ground.history("repo", 1);
    ground.ostree("repo", &["refs", "--create=unbound", "main"]);
    ground.init("ours", "bare-user");
    let refused = |args: &[&str], options: PullOptions| {
        let theirs = ground.try_ostree("ours", args);
        let theirs = String::from_utf8_lossy(&theirs.stderr).into_owned();
        let error = pull_local(&ground.open("ours"), &ground.open("repo"), &options);
        assert_eq!(format!("error: {}\n", chain(&error.expect_err("refused"))), theirs);
    };
    let only =
        |name: &str| PullOptions { refs: vec![PullRef::from(name)], ..PullOptions::default() };
    refused(&["pull-local", "repo", "unbound"], only("unbound"));
    refused(&["pull-local", "repo", "nosuch"], only("nosuch"));
    let options = PullOptions { verify_bindings: false, ..only("unbound") };
    pull_local(&ground.open("ours"), &ground.open("repo"), &options).expect("not verified");
    ground.write("tree/suid", "x");
    let suid = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(ground.path("tree/suid"), suid).expect("mode");
    ground.commit("repo", "suid", 500);
    let options = PullOptions { bareuseronly_files: true, ..only("suid") };
    refused(&["pull-local", "--bareuseronly-files", "repo", "suid"], options);
    ground.commit("repo", "main", 400);
    pull_local(&ground.open("ours"), &ground.open("repo"), &only("main")).expect("older, unasked");
    ground.commit("repo", "main", 300);
    let options = PullOptions { timestamp_check: true, ..only("main") };
    let error = pull_local(&ground.open("ours"), &ground.open("repo"), &options);
    assert!(chain(&error.expect_err("older")).contains("is chronologically older"));
}

/// Signatures that were added beside a commit later on come over too.
#[test]
fn detached_metadata_is_refreshed() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.write("tree/f", "x");
    ground.ostree(
        "repo",
        &["commit", "-b", "main", "--tree=dir=tree", "--add-detached-metadata-string=a=1"],
    );
    ground.init("ours", "archive");
    let pull = || pull_local(&ground.open("ours"), &ground.open("repo"), &PullOptions::default());
    pull().expect("pull");
    let show = |key: &str| {
        ground.ostree("ours", &["show", &format!("--print-detached-metadata-key={key}"), "main"])
    };
    assert_eq!(show("a"), "'1'");
    let source = ground.open("repo");
    let main = source.resolve_rev("main").expect("main");
    let mut detached = source.load_detached(&main).expect("load").expect("there is some");
    detached.set("b", trefoil_format::gvariant::Value::Str("2".to_string()));
    source.write_detached(&main, Some(&detached)).expect("write");
    pull().expect("pull");
    assert_eq!(show("b"), "'2'");
}

/// A tombstone goes when its commit comes back.
#[test]
fn tombstones_go_when_commits_return() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 2);
    ground.init("ours", "archive");
    let options = PullOptions { depth: Depth::Unlimited, ..PullOptions::default() };
    let pull = || pull_local(&ground.open("ours"), &ground.open("repo"), &options).expect("pull");
    pull();
    let parent = ground.ostree("ours", &["rev-parse", "main^"]);
    ground.ostree("ours", &["prune", &format!("--delete-commit={parent}")]);
    let tombstones =
        || ground.objects("ours").iter().filter(|n| n.ends_with(".tombstone-commit")).count();
    assert_eq!(tombstones(), 1);
    pull();
    assert_eq!(tombstones(), 0);
    assert!(read(ground.path("ours/config")).contains("tombstone-commits=true"));
    ground.fsck_clean("ours");
}
