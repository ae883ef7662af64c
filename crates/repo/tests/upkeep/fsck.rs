use std::fs;

use trefoil_format::object::ObjectType;
use trefoil_repo::fsck::{FsckError, FsckEvent, FsckOptions, FsckReport, fsck};

use crate::support::{Ground, chain};

fn run(ground: &Ground, options: FsckOptions) -> Result<FsckReport, FsckError> {
    let mut repo = ground.open("repo");
    let mut events = 0;
    fsck(&mut repo, options, &mut |_: FsckEvent| events += 1)
}

fn ground() -> Option<Ground> {
    let ground = Ground::new()?;
    ground.init("repo", "archive");
    ground.history("repo", 2);
    Some(ground)
}

/// One object of a type, by its path.
fn pick(ground: &Ground, suffix: &str) -> String {
    ground.objects("repo").into_iter().find(|n| n.ends_with(suffix)).expect("an object")
}

/// A sound repository is clean in every mode, and every object was looked at.
#[test]
fn sound_repositories_are_clean() {
    for mode in ["archive", "bare-user", "bare-user-only", "bare"] {
        let Some(ground) = Ground::new() else { return };
        ground.init("repo", mode);
        ground.history("repo", 2);
        let report = run(&ground, FsckOptions::default()).expect(mode);
        assert!(report.is_clean());
        assert_eq!(report.commits, 4);
        assert_eq!(report.objects, ground.objects("repo").len() as u64);
    }
}

/// Every kind of broken object fails with us where it fails with ostree.
#[test]
fn verdicts_agree_on_broken_objects() {
    for suffix in [".filez", ".dirtree", ".dirmeta", ".commit"] {
        let Some(ground) = ground() else { return };
        let path = ground.object("repo", &pick(&ground, suffix));
        let mut bytes = fs::read(&path).expect("object");
        let at = bytes.len() - 1;
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("object");
        assert!(!ground.try_ostree("repo", &["fsck", "-q"]).status.success(), "{suffix}");
        let ours = run(&ground, FsckOptions::default());
        assert!(ours.is_err(), "{suffix}: {ours:?}");
    }
}

/// A corrupt file is named with its commits, deleted on demand, its commits marked; the next
/// check, ours or ostree's, fails for the mark until the file is back.
#[test]
fn delete_marks_commits_partial() {
    let Some(ground) = ground() else { return };
    let path = ground.object("repo", &pick(&ground, ".filez"));
    fs::write(&path, "whoops, this is no object at all").expect("object");
    let error = run(&ground, FsckOptions::default()).expect_err("corrupt");
    assert!(chain(&error).starts_with("In commits "), "{}", chain(&error));
    assert!(path.exists());
    let report = run(&ground, FsckOptions { delete: true, ..FsckOptions::default() });
    let report = report.expect("goes on");
    assert_eq!(report.findings.len(), 1);
    assert!(!path.exists());
    let commits = report.findings[0].commits.len();
    assert!(commits > 0);
    let again = run(&ground, FsckOptions::default()).expect("partial commits are left out");
    assert_eq!((again.fsck_partial, again.is_clean()), (commits as u64, false));
    let theirs = ground.try_ostree("repo", &["fsck", "-q"]);
    let said = String::from_utf8_lossy(&theirs.stderr).into_owned();
    assert!(said.contains(&format!("{commits} partial commits")), "{said}");
}

/// Missing objects are findings, not errors, and mark their commits; directories too.
#[test]
fn missing_objects_are_found() {
    for (suffix, kind) in [(".filez", ObjectType::File), (".dirtree", ObjectType::DirTree)] {
        let Some(ground) = ground() else { return };
        fs::remove_file(ground.object("repo", &pick(&ground, suffix))).expect("object");
        let report = run(&ground, FsckOptions::default()).expect("goes on");
        assert_eq!(report.findings.len(), 1);
        let finding = &report.findings[0];
        assert_eq!(finding.object.kind, kind);
        assert!(finding.problem.is_none() && !finding.commits.is_empty());
        for commit in &finding.commits {
            assert!(ground.path(&format!("repo/state/{commit}.commitpartial")).exists());
        }
    }
}

/// A ref whose commit is gone ends the check with ostree's words.
#[test]
fn missing_commit_of_a_ref() {
    let Some(ground) = ground() else { return };
    for name in ground.objects("repo").into_iter().filter(|n| n.ends_with(".commit")) {
        fs::remove_file(ground.object("repo", &name)).expect("commit");
    }
    let error = run(&ground, FsckOptions::default()).expect_err("no commit");
    let said = chain(&error);
    assert!(said.starts_with("Loading commit for ref dev: No such metadata object "), "{said}");
}

/// A ref that the commit was not made for passes, unless bindings are to be checked.
#[test]
fn bindings_are_checked_on_demand() {
    let Some(ground) = ground() else { return };
    ground.ostree("repo", &["refs", "--create=other", "main"]);
    assert!(run(&ground, FsckOptions::default()).expect("passes").is_clean());
    let options = FsckOptions { verify_bindings: true, ..FsckOptions::default() };
    let theirs = ground.try_ostree("repo", &["fsck", "--verify-bindings"]);
    let ours = format!("error: {}\n", chain(&run(&ground, options).expect_err("unbound")));
    assert_eq!(ours, String::from_utf8_lossy(&theirs.stderr));
    ground.ostree("repo", &["refs", "--delete", "main", "other"]);
    let options = FsckOptions { verify_back_refs: true, ..FsckOptions::default() };
    assert!(!ground.try_ostree("repo", &["fsck", "--verify-back-refs"]).status.success());
    run(&ground, options).expect_err("a commit names a ref that is gone");
}

/// A commit whose parent is missing becomes a tombstone, but never one that a ref points to.
#[test]
fn tombstones_spare_refs() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 4);
    ground.ostree("repo", &["prune", "--refs-only", "--depth=1"]);
    let options = FsckOptions { add_tombstones: true, ..FsckOptions::default() };
    let report = run(&ground, options).expect("passes");
    assert_eq!(report.tombstones.len(), 2);
    let report = run(&ground, options).expect("passes");
    assert_eq!(report.tombstones.len(), 0);
    ground.fsck_clean("repo");
}
