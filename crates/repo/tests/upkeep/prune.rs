use std::collections::BTreeMap;

use trefoil_format::checksum::Checksum;
use trefoil_repo::prune::{
    PruneOptions, delete_commit, plan_prune, prune_deltas_to, prune_difference,
};
use trefoil_repo::traverse::Depth;

use crate::support::{Ground, chain};

fn sum(hex: &str) -> Checksum {
    Checksum::from_hex(hex).expect("a checksum")
}

/// Prunes copies of one repository with ostree and with us.
fn compare(options: &PruneOptions, args: &[&str]) {
    for mode in ["archive", "bare-user"] {
        let Some(ground) = Ground::new() else { return };
        ground.init("repo", mode);
        ground.history("repo", 4);
        ground.ostree("repo", &["refs", "--delete", "dev"]);
        ground.commit("repo", "extra", 5_000_000);
        ground.copy("repo", "ours");
        let mut prune = vec!["prune"];
        prune.extend(args);
        let said = ground.ostree("repo", &prune);
        let repo = ground.open("ours");
        let plan = plan_prune(&repo, options).expect("plan");
        let before = ground.objects("ours");
        let stats = plan.apply().expect("prune");
        assert_eq!(ground.objects("ours"), ground.objects("repo"), "{mode} {args:?}");
        let gone = before.len() - ground.objects("ours").len();
        assert_eq!(stats.objects_pruned, gone as u64);
        let total = said.lines().next().and_then(|l| l.rsplit(' ').next()).map(str::to_string);
        assert_eq!(Some(stats.objects_total.to_string()), total, "{said}");
        if stats.objects_pruned > 0 {
            let deleted = format!("Deleted {} objects", stats.objects_pruned);
            assert!(said.contains(&deleted), "{said}");
        }
        ground.fsck_clean("ours");
    }
}

/// The same objects as after `ostree prune`, for every way to say what stays.
#[test]
fn same_objects_stay_as_with_ostree() {
    let none = PruneOptions::default;
    compare(&none(), &[]);
    compare(&PruneOptions { refs_only: true, ..none() }, &["--refs-only"]);
    for n in [0, 1, 2] {
        let depth = Depth::Parents(n);
        let options = PruneOptions { refs_only: true, depth, ..none() };
        compare(&options, &["--refs-only", &format!("--depth={n}")]);
    }
    let young = PruneOptions { keep_younger_than: Some(1_002_000), ..none() };
    compare(&young, &["--keep-younger-than=@1002000"]);
    let retain = BTreeMap::from([("main".to_string(), Depth::Parents(1))]);
    let options = PruneOptions { retain_branch_depth: retain, ..young.clone() };
    compare(&options, &["--keep-younger-than=@1002000", "--retain-branch-depth=main=1"]);
    let options = PruneOptions {
        only_branches: vec!["main".to_string()],
        depth: Depth::Parents(0),
        ..none()
    };
    compare(&options, &["--only-branch=main", "--depth=0"]);
}

/// `--commit-only` deletes commits and nothing else.
#[test]
fn commit_only_deletes_only_commits() {
    let options = PruneOptions {
        commit_only: true,
        refs_only: true,
        depth: Depth::Parents(1),
        ..PruneOptions::default()
    };
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 4);
    ground.copy("repo", "ours");
    ground.ostree("repo", &["prune", "--commit-only", "--refs-only", "--depth=1"]);
    let repo = ground.open("ours");
    let stats = plan_prune(&repo, &options).expect("plan").apply().expect("prune");
    assert_eq!(ground.objects("ours"), ground.objects("repo"));
    assert_eq!((stats.objects_total, stats.objects_pruned), (8, 4));
}

/// A plan that is dropped changes nothing, and lets go of the lock.
#[test]
fn a_plan_alone_changes_nothing() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 3);
    let before = ground.objects("repo");
    let repo = ground.open("repo");
    let options =
        PruneOptions { refs_only: true, depth: Depth::Parents(0), ..PruneOptions::default() };
    let plan = plan_prune(&repo, &options).expect("plan");
    assert!(plan.stats().objects_pruned > 0);
    drop(plan);
    assert_eq!(ground.objects("repo"), before);
    ground.commit("repo", "main", 9_000_000);
}

/// A mirrored ref keeps its commit, also with the options by branch, where ostree forgets it.
#[test]
fn mirrored_refs_are_roots() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    let commits = ground.history("repo", 2);
    let mirror = "--create=org.example.Other:kept";
    ground.ostree("repo", &["refs", "--collections", mirror, &commits[0]]);
    let repo = ground.open("repo");
    for keep_younger_than in [None, Some(9_999_999_999)] {
        let options = PruneOptions {
            refs_only: true,
            depth: Depth::Parents(0),
            keep_younger_than,
            ..PruneOptions::default()
        };
        plan_prune(&repo, &options).expect("plan").apply().expect("prune");
        assert!(repo.list_commits().expect("list").contains(&sum(&commits[0])));
        ground.fsck_clean("repo");
    }
}

/// Deleting a commit leaves a tombstone that ostree reads; a commit with a ref is refused in
/// ostree's words.
#[test]
fn delete_commit_leaves_a_tombstone() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    let commits = ground.history("repo", 2);
    ground.copy("repo", "ours");
    ground.ostree("repo", &["prune", &format!("--delete-commit={}", commits[0])]);
    let mut repo = ground.open("ours");
    delete_commit(&mut repo, &sum(&commits[0])).expect("delete");
    plan_prune(&repo, &PruneOptions::default()).expect("plan").apply().expect("prune");
    assert_eq!(ground.objects("ours"), ground.objects("repo"));
    let name = format!("{}/{}.tombstone-commit", &commits[0][..2], &commits[0][2..]);
    let bytes = |repo: &str| std::fs::read(ground.object(repo, &name)).expect("tombstone");
    assert_eq!(bytes("ours"), bytes("repo"));
    assert!(ground.ostree("ours", &["config", "get", "core.tombstone-commits"]) == "true");
    let main = ground.ostree("ours", &["rev-parse", "main"]);
    let refused = delete_commit(&mut repo, &sum(&main)).expect_err("a ref points to it");
    assert_eq!(chain(&refused), format!("Commit '{main}' is referenced by 'main'"));
}

/// Static deltas go with the commit they lead to, and others stay.
#[test]
fn static_deltas_follow_their_commits() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 3);
    for rev in ["main", "main^", "dev"] {
        ground.ostree("repo", &["static-delta", "generate", rev]);
    }
    let count = || ground.ostree("repo", &["static-delta", "list"]).lines().count();
    let repo = ground.open("repo");
    let dev = repo.resolve_rev("dev").expect("dev");
    assert_eq!(prune_deltas_to(&repo, &dev).expect("prune"), 1);
    assert_eq!(count(), 2);
    let options =
        PruneOptions { refs_only: true, depth: Depth::Parents(0), ..PruneOptions::default() };
    plan_prune(&repo, &options).expect("plan").apply().expect("prune");
    assert_eq!(count(), 1);
}

/// Pruning by difference leaves exactly what a full prune leaves, though a file moved, and
/// though equal files lie at several paths.
#[test]
fn difference_equals_full_prune() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "bare-user");
    let commits = ground.history("repo", 4);
    ground.ostree("repo", &["prune", "--refs-only", "--depth=1"]);
    ground.copy("repo", "ours");
    ground.ostree("repo", &["prune", "--refs-only", "--depth=0"]);
    let repo = ground.open("ours");
    let left: Vec<_> = repo.list_commits().expect("list");
    let tips = [repo.resolve_rev("main").expect("main"), repo.resolve_rev("dev").expect("dev")];
    for old in left.iter().filter(|c| !tips.contains(c)) {
        let done = prune_difference(&repo, old, &[]).expect("prune");
        assert!(!done.deleted.is_empty());
    }
    assert_eq!(ground.objects("ours"), ground.objects("repo"));
    ground.fsck_clean("ours");
    let kept = prune_difference(&repo, &tips[0], &[]).expect("a kept commit");
    assert!(kept.deleted.is_empty());
    let unknown = prune_difference(&repo, &sum(&commits[0]), &[]).expect("a deleted commit");
    assert!(unknown.deleted.is_empty());
    assert_eq!(ground.objects("ours"), ground.objects("repo"));
}
