//! What writers leave that failed or died, and who takes it away.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_repo::checkout::{CheckoutOptions, Overwrite, checkout};
use trefoil_repo::delta::{DeltaPlace, GenerateOptions, generate_delta, list_deltas};
use trefoil_repo::prune::{PruneOptions, plan_prune};
use trefoil_repo::pull::{PullOptions, PullRef, pull_local};
use trefoil_repo::{CommitState, Repo, TreeId};

use crate::support::Ground;

fn names(path: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "cache");
    names.sort();
    names
}

fn open(ground: &Ground, fs: &Fs, name: &str) -> Repo {
    Repo::open(fs.open_dir(ground.path(name)).expect("directory")).expect("repository")
}

/// Guards that what dead writers left in `tmp` goes when it is old, that what is new stays, and
/// that a new link to an old object counts as new.
#[test]
fn what_lies_in_tmp_goes_when_it_is_old() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.write("old", "old");
    let then = std::time::SystemTime::now() - Duration::from_secs(200_000);
    let old = fs::File::options().write(true).open(ground.path("old")).expect("open");
    old.set_modified(then).expect("times");
    ground.write("repo/tmp/replace-1-1", "left over");
    ground.write("repo/tmp/gone-1-1/0", "left over");
    fs::hard_link(ground.path("old"), ground.path("repo/tmp/a-link")).expect("link");
    drop(ground.open("repo").begin().expect("a transaction"));
    let all = ["a-link", "gone-1-1", "replace-1-1"];
    assert_eq!(names(ground.path("repo/tmp")), all, "they are new");
    ground.ostree("repo", &["config", "set", "core.tmp-expiry-secs", "0"]);
    std::thread::sleep(Duration::from_millis(50));
    drop(ground.open("repo").begin().expect("a transaction"));
    assert!(names(ground.path("repo/tmp")).is_empty());
}

/// Guards that a failure leaves no file of a ref that was about to be moved.
#[test]
fn a_failed_commit_leaves_no_ref_file() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    for at in 1.. {
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Fail(28) });
        let repo = open(&ground, &fs, "repo");
        let commit = || {
            let txn = repo.begin()?;
            txn.write_metadata(trefoil_format::object::ObjectType::DirMeta, b"something")?;
            txn.set_ref("main".parse().expect("a ref"), Some(Checksum::of(b"x")));
            txn.commit()
        };
        let done = commit();
        let struck = fs.fault_struck();
        let removing = fs.struck().is_some_and(|(op, _)| op.word().starts_with("remove"));
        let left = names(ground.path("repo/tmp"));
        assert!(removing || !left.iter().any(|n| n.starts_with("replace-")), "{at}: {left:?}");
        if !struck {
            done.expect("nothing disturbed it");
            return;
        }
        let _ = fs::remove_dir_all(ground.path("repo/tmp"));
        fs::create_dir(ground.path("repo/tmp")).expect("tmp");
    }
}

/// Guards that a delta is taken away in one step: dying in between leaves nothing in its place
/// that nobody would ever find.
#[test]
fn no_part_of_a_delta_stays_in_its_place() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.write("tree/file", "one");
    let from = ground.commit("repo", "main", 1);
    ground.write("tree/file", "two");
    let to = ground.commit("repo", "main", 2);
    ground.ostree("repo", &["reset", "main", &from]);
    let name = format!("{from}-{to}").parse().expect("a name");
    let options = PruneOptions { refs_only: true, ..PruneOptions::default() };
    for at in 1.. {
        fs::remove_dir_all(ground.path("repo/deltas")).unwrap_or_default();
        let repo = ground.open("repo");
        if repo.load_commit(&Checksum::from_hex(&to).expect("a checksum")).is_err() {
            ground.commit("repo", "main", 2);
            ground.ostree("repo", &["reset", "main", &from]);
        }
        let made = GenerateOptions::new(1);
        generate_delta(&repo, name, DeltaPlace::Repo, &made).expect("a delta");
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let pruned = plan_prune(&open(&ground, &fs, "repo"), &options).and_then(|p| p.apply());
        let files =
            |dir: PathBuf| names(dir.clone()).iter().flat_map(|n| names(dir.join(n))).count();
        let parts = files(ground.path("repo/deltas"));
        assert_eq!(parts, list_deltas(&repo).expect("a list").len(), "{at}: a part of a delta");
        if !fs.fault_struck() {
            pruned.expect("nothing disturbed it");
            return;
        }
    }
}

/// Guards that a ref which a pull moves never leads to a commit that is marked as a part.
#[test]
fn a_ref_leads_to_a_commit_without_a_mark() {
    let Some(ground) = Ground::new() else { return };
    ground.init("source", "archive");
    ground.write("tree/file", "one");
    ground.commit("source", "main", 1);
    let options = PullOptions { refs: vec![PullRef::from("main")], ..PullOptions::default() };
    for at in 1.. {
        let _ = fs::remove_dir_all(ground.path("repo"));
        ground.init("repo", "archive");
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let dest = open(&ground, &fs, "repo");
        let pulled = pull_local(&dest, &ground.open("source"), &options);
        let found = ground.open("repo").resolve_rev_opt("main").expect("refs");
        if let Some(commit) = found {
            let state = dest.commit_state(&commit).expect("a state");
            assert_eq!(state, CommitState::Normal, "{at}");
        }
        if !fs.fault_struck() {
            pulled.expect("nothing disturbed it");
            return;
        }
    }
}

/// Guards that a file which is to be replaced by a link is copied where the object takes no more
/// links.
#[test]
fn too_many_links_are_no_obstacle_to_a_union() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "bare-user-only");
    ground.write("tree/file", "new");
    let commit = ground.commit("repo", "main", 1);
    let commit = Checksum::from_hex(&commit).expect("a checksum");
    let tree = TreeId::of_commit(&ground.open("repo").load_commit(&commit).expect("a commit"));
    let overwrite = Overwrite::UnionFiles;
    let options = CheckoutOptions { overwrite, ..CheckoutOptions::default() };
    let mut copied = 0;
    for at in 1.. {
        ground.write("out/file", "old");
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Fail(31) });
        let parent = fs.open_dir(ground.path("")).expect("directory");
        let done = checkout(&open(&ground, &fs, "repo"), &options, tree, &parent, "out");
        let Some((op, _)) = fs.struck() else {
            done.expect("nothing disturbed it");
            break;
        };
        if op.word() == "link" {
            done.expect("a copy does");
            assert_eq!(fs::read_to_string(ground.path("out/file")).expect("read"), "new");
            copied += 1;
        }
    }
    assert!(copied > 0, "no link was made");
    assert!(names(ground.path("repo/tmp")).is_empty());
}
