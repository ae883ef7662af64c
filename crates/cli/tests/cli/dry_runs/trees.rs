//! Trees that are committed, and checked out.

use std::fs;

use serde_json::Value;

use super::{dry, fail_alike, json, plan, rev, same};
use crate::support::Lab;

/// Files of the sizes at which the way into a repository changes.
const SIZES: [(&str, u64); 3] = [("quarter", 300 << 10), ("meg", 2 << 20), ("large", 17 << 20)];

/// Guards that a commit is the one that was said, whatever its tree comes from.
#[test]
fn a_commit_is_foreseen() {
    let numbers = [
        "commit",
        "metadata_total",
        "metadata_written",
        "content_total",
        "content_written",
        "content_cache_hits",
        "content_bytes_written",
    ];
    for mode in ["archive", "bare-user", "bare-user-only"] {
        let lab = Lab::new(mode);
        lab.tree();
        for (name, size) in SIZES {
            let file = fs::File::create(lab.path("tree").join(name)).expect("it is writable");
            file.set_len(size).expect("it is writable");
        }
        let tar = ["-C", "tree", "-cf", "tree.tar", "dir", "prog"];
        let made = std::process::Command::new("tar").args(tar).current_dir(lab.path(".")).status();
        assert!(made.is_ok_and(|status| status.success()), "tar is missing");
        for more in [
            &["-b", "main", "tree"][..],
            &["-b", "main", "--tree=dir=tree", "-s", "again"],
            &["-b", "main", "--no-index", "--tree=dir=tree", "--owner-uid=7"],
            &["--orphan", "--tree=ref=main", "--tree=tar=tree.tar"],
            &["-b", "two", "--tree=ref=main", "--add-metadata-string=a=b"],
        ] {
            let words: Vec<&str> = ["commit", "--timestamp=@1000000000", "--json"]
                .iter()
                .chain(more)
                .copied()
                .collect();
            let planned = json(&plan(&lab, "repo", &words));
            let real = json(&lab.must(&words));
            same(&planned, &real, &numbers);
        }
    }
}

/// Guards what is said of changes, and that nothing of a tree to be consumed goes.
#[test]
fn changes_of_a_commit_are_counted() {
    let lab = Lab::with_history("bare-user-only");
    let words = ["commit", "-b", "main", "--consume", "--tree=dir=tree", "--timestamp=@1300000000"];
    let said = plan(&lab, "repo", &words);
    assert!(said.contains(&format!("no changes since {}\n", rev(&lab, "main"))), "{said}");
    fs::write(lab.path("tree/dir/sub/deep"), "deeper").expect("it is writable");
    fs::write(lab.path("tree/dir/more"), "more").expect("it is writable");
    fs::remove_dir_all(lab.path("tree/fresh")).expect("it is writable");
    let said = plan(&lab, "repo", &words);
    assert!(said.contains(": 1 added, 1 removed, 1 changed\n"), "{said}");
    let real = lab.must(&words);
    assert_eq!(said.lines().next(), Some(&*format!("main would point to {}", real.trim())));
    assert!(!lab.path("tree").exists(), "it was consumed");
    // Without a time of its own the commit is not known ahead.
    let said = plan(&lab, "repo", &["commit", "-b", "main", "--tree=ref=main"]);
    assert!(said.starts_with("main would point to a new commit\n"), "{said}");
    let words = ["commit", "-b", "main", "--tree=ref=main", "--skip-if-unchanged"];
    let said = plan(&lab, "repo", &words);
    assert!(said.starts_with("nothing would be committed: the tree is that of "), "{said}");
    assert_eq!(lab.must(&words).trim(), rev(&lab, "main"));
}

/// Guards that what a commit refuses its plan refuses.
#[test]
fn refused_commits_are_refused_ahead() {
    let lab = Lab::with_history("bare-user-only");
    for words in [
        &["commit", "--tree=dir=tree"][..],
        &["commit", "-b", "main", "--tree=dir=nosuch"],
        &["commit", "-b", "main", "--tree=ref=nosuch"],
        &["commit", "-b", "main", "--tree=dir=tree", "--bootable"],
        &["commit", "-b", "main", "--tree=dir=tree", "--keep-metadata=nosuch"],
        &["commit", "-b", "main", "--tree=dir=tree", "--sign=nokey"],
        &["commit", "-b", "main", "--tree=dir=tree", "--owner-uid=-2", "--skip-list=nosuch"],
    ] {
        fail_alike(&lab, "repo", words);
    }
}

/// Guards that a checkout makes, keeps and replaces as many as were said.
#[test]
fn a_checkout_is_foreseen() {
    for mode in ["archive", "bare-user"] {
        let lab = Lab::with_history(mode);
        for more in [
            &["main", "out"][..],
            &["main", "out", "--union"],
            &["main^", "out", "--union-add"],
            &["main", "sub", "--subpath=/dir"],
            &["main", "one", "--subpath=/dir/file"],
            &["main", "one", "--subpath=/dir/file", "--union-add"],
            &["main", "none", "--subpath=/nosuch", "--allow-noent"],
        ] {
            let words: Vec<&str> =
                ["checkout", "-U", "--json"].iter().chain(more).copied().collect();
            let planned = json(&plan(&lab, "repo", &words));
            let real = json(&lab.must(&words));
            same(&planned, &real, &["dirs", "dirs_kept", "skipped", "whiteouts"]);
            let sum = |view: &Value, keys: &[&str]| {
                keys.iter().map(|key| view[key].as_u64().expect("a number")).sum::<u64>()
            };
            let made = sum(&real, &["links", "copies", "symlinks", "kept"]);
            assert_eq!(sum(&planned, &["files", "replaced", "kept"]), made, "{planned}, {real}");
        }
        fail_alike(&lab, "repo", &["checkout", "-U", "main", "out"]);
        fail_alike(&lab, "repo", &["checkout", "-U", "nosuch", "other"]);
        fail_alike(&lab, "repo", &["checkout", "-U", "main", "other", "--subpath=/nosuch"]);
        fail_alike(&lab, "repo", &["checkout", "-U", "main", "out", "--union", "--union-add"]);
    }
    let lab = Lab::with_history("bare-user");
    lab.must(&["checkout", "-UH", "main", "out"]);
    let words = ["checkout", "-UH", "--union-identical", "main", "out"];
    let said = plan(&lab, "repo", &words);
    assert!(said.starts_with("0 directories and 0 files would be made at out\n"), "{said}");
    lab.must(&words);
    fs::remove_file(lab.path("out/new")).expect("it is there");
    fs::write(lab.path("out/new"), "other").expect("it is writable");
    assert!(!dry(&lab, "repo", &words).ok);
    assert!(!lab.trefoil(&words).ok);
}
