//! `commit --generate-sizes` and `show --print-sizes` against those of `ostree`.

use std::fs;

use crate::support::{Differing, Lab, need_ostree};

/// The same commit made by both, each time in one repository: what the other one wrote is there
/// already when the second one comes.
#[track_caller]
fn same(lab: &Lab, ours_first: bool, words: &[&str]) -> String {
    let common = ["commit", "--orphan", "--generate-sizes", "--timestamp=@1000000000"];
    let words = [&common, words].concat();
    let ours = ours_first.then(|| lab.must(&words));
    let theirs = lab.ostree(&words);
    let ours = ours.unwrap_or_else(|| lab.must(&words));
    let raw = |commit: &str| lab.ostree(&["show", "--raw", commit.trim()]).out;
    assert_eq!(raw(&ours), raw(&theirs.out), "{words:?}: {theirs:?}");
    assert_eq!(ours, theirs.out);
    ours.trim().to_string()
}

/// Two directories that share one file and one subdirectory, and contents of several lengths.
fn trees(lab: &Lab) {
    lab.tree();
    for dir in ["other/dir", "other/hollow", "empty-over/dir"] {
        fs::create_dir_all(lab.path(dir)).expect("the folder is writable");
    }
    fs::write(lab.path("other/dir/file"), "content").expect("the folder is writable");
    fs::write(lab.path("other/new"), "n".repeat(200)).expect("the folder is writable");
}

/// Guards the whole of `ostree.sizes`: which objects, their order, the numbers; also where
/// everything was there before, where trees come from a commit, and where several are united,
/// of which libostree counts only the last.
#[test]
fn sizes_are_libostrees() {
    if !need_ostree() {
        return;
    }
    for ours_first in [true, false] {
        let lab = Lab::new("archive");
        trees(&lab);
        let first = same(&lab, ours_first, &["--tree=dir=tree"]);
        assert_eq!(same(&lab, ours_first, &["tree"]), first);
        let by_ref = format!("--tree=ref={first}");
        let base = format!("--base={first}");
        let (tree, other) = ("--tree=dir=tree", "--tree=dir=other");
        for words in [
            &[&*by_ref][..],
            &[tree, other],
            &[other, tree],
            &[&by_ref, other],
            &[other, &by_ref],
            &[&base, other],
            &[&base, tree],
            &[&base, "--tree=dir=empty-over"],
            &[&by_ref, "--owner-uid=7"],
            &[tree, "--add-metadata-string=version=1", "--canonical-permissions"],
        ] {
            same(&lab, ours_first, words);
        }
    }
}

/// Content that packers pack to different lengths: the size is that of the stored object,
/// whoever stored it, also of a large one that is not held in memory.
#[test]
fn sizes_are_those_of_what_is_stored() {
    if !need_ostree() {
        return;
    }
    let lab = Lab::new("archive");
    lab.tree();
    let lines: String = (0..4_000_000_u64).map(|n| format!("{}\n", n * 7919 % 10_007)).collect();
    fs::write(lab.path("tree/lines"), &lines[..200_000]).expect("the folder is writable");
    fs::write(lab.path("tree/large"), &lines).expect("the folder is writable");
    same(&lab, false, &["tree"]);

    let lab = Lab::new("archive");
    lab.tree();
    fs::write(lab.path("tree/lines"), &lines[..200_000]).expect("the folder is writable");
    fs::write(lab.path("tree/large"), &lines).expect("the folder is writable");
    let words = ["commit", "--orphan", "--generate-sizes", "--timestamp=@1", "tree"];
    let fresh = lab.must(&words);
    assert_eq!(lab.must(&words), fresh, "written or found, the sizes are the same");
}

/// Guards the words of `show --print-sizes`, with and without objects that are missing, and
/// what happens in repositories that are no archives: nothing, as in libostree.
#[test]
fn print_sizes_says_what_ostree_says() {
    if !need_ostree() {
        return;
    }
    let mut differing = Differing::default();
    let lab = Lab::new("archive");
    lab.tree();
    let commit = same(&lab, true, &["tree"]);
    differing.compare(&lab, "archive", &["show", "--print-sizes", &commit]);
    let file = lab.an_object("filez").expect("there are files");
    let path = format!("repo/objects/{}/{}.filez", &file[..2], &file[2..]);
    fs::remove_file(lab.path(&path)).expect("the object is there");
    differing.compare(&lab, "archive", &["show", "--print-sizes", &commit]);
    let json = lab.must(&["show", "--print-sizes", "--json", &commit]);
    assert!(json.contains("\"objects_needed\": 1") || json.contains("\"objects_needed\":1"));

    let lab = Lab::new("bare-user");
    lab.tree();
    let commit = same(&lab, true, &["tree"]);
    differing.compare_failure(&lab, &["show", "--print-sizes", &commit]);
    differing.must_be_none();
}
