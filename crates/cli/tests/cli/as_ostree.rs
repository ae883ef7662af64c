//! Runs the same verbs by `ostree` and by `trefoil` and wants the same words back.

use crate::support::{Differing, Lab, need_ostree};

/// Guards the text of every reading verb: scripts cut values out of it.
#[test]
fn reading_verbs_print_what_ostree_prints() {
    if !need_ostree() {
        return;
    }
    let mut differing = Differing::default();
    for mode in ["archive", "bare-user", "bare-user-only"] {
        let lab = Lab::with_history(mode);
        let tip = lab.ostree(&["rev-parse", "main"]).out.trim().to_string();
        for words in [
            "log main",
            "log --raw main",
            "show main",
            "show --raw main",
            "show -B main",
            "show --print-metadata-key=version main",
            "show --print-metadata-key=number main",
            "show -B --print-metadata-key=number main",
            "show --print-metadata-key=ostree.ref-binding main",
            "show --print-detached-metadata-key=note main",
            "rev-parse main",
            "rev-parse main^",
            "refs",
            "refs a",
            "refs --list a",
            "refs -A",
            "ls main",
            "ls -R main",
            "ls -RC main",
            "ls -RX main",
            "ls -d main /dir",
            "ls main /dir/file /link",
            "ls -R --nul-filenames-only main",
            "cat main /dir/file",
            "diff main^ main",
            "diff main",
            "diff --stats main^ main",
            "config get core.mode",
            "prune --no-prune",
            "prune --no-prune --refs-only --depth=0",
            "fsck",
            "summary -v",
            "summary --raw",
            "remote list",
            "remote list -u",
            "remote show-url origin",
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            differing.compare(&lab, mode, &words);
        }
        for kind in ["dirtree", "dirmeta", "file", "filez"] {
            let Some(checksum) = lab.an_object(kind) else { continue };
            for words in [vec!["show", &checksum], vec!["show", "--raw", &checksum]] {
                differing.compare(&lab, mode, &words);
            }
        }
        let short = &tip[..12];
        let words = ["rev-parse", short];
        differing.compare(&lab, mode, &words);
    }
    differing.must_be_none();
}

/// Guards that failures are failures, in words that name the same thing.
#[test]
fn failing_verbs_fail_as_ostree_does() {
    if !need_ostree() {
        return;
    }
    let lab = Lab::with_history("bare-user");
    let mut differing = Differing::default();
    for words in [
        "rev-parse nosuch",
        "rev-parse main^^^^^^",
        "cat main /dir",
        "cat main",
        "ls nosuch",
        "refs --delete",
        "refs --create=other",
        "refs --create=main main^",
        "refs --delete main-alias-target",
        "reset nosuch main",
        "config get core",
        "config get core.nosuch",
        "config get nosuch.key",
        "config frob",
        "commit",
        "commit --orphan --tree=nonsense",
        "commit --orphan --tree=foo=bar",
        "show --print-metadata-key=nosuch main",
        "summary",
        "prune --static-deltas-only",
        "remote delete nosuch",
        "remote show-url nosuch",
        "remote add",
        "nosuchverb",
        "remote nosuchverb",
        "remote",
        "checkout main --union --union-add -H",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        differing.compare_failure(&lab, &words);
    }
    differing.must_be_none();
}

/// Guards that a repository written by one is whole to the other.
#[test]
fn commits_are_the_same_and_pass_fsck() {
    if !need_ostree() {
        return;
    }
    for mode in ["archive", "bare-user", "bare-user-only"] {
        let lab = Lab::new(mode);
        lab.tree();
        let commit = |extra: &[&'static str]| {
            let mut words = vec!["commit", "--orphan", "--timestamp=@1234567890", "-s", "one"];
            words.extend_from_slice(extra);
            words.push("tree");
            words
        };
        for extra in [
            &[][..],
            &["--owner-uid=7", "--owner-gid=8"],
            &["--canonical-permissions"],
            &["--no-xattrs", "--mode-ro-executables"],
            &["--add-metadata-string=a=b", "--add-metadata=c=uint32 5", "--bind-ref=x"],
            &["--no-bindings", "-m", "body"],
        ] {
            let words = commit(extra);
            let (ours, theirs) = (lab.trefoil(&words), lab.ostree(&words));
            assert_eq!(ours.out, theirs.out, "{mode}: {words:?} {ours:?} {theirs:?}");
        }
        assert!(lab.ostree(&["fsck"]).ok);
        assert!(lab.trefoil(&["fsck"]).ok);
    }
}
