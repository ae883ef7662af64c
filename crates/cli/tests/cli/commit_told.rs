//! `commit` that is told what changed, what is hidden and what is gone.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Lab, Said};

/// The checksum of the root directory and of its metadata.
pub fn tree_of(lab: &Lab, rev: &str) -> String {
    let listed = lab.must(&["ls", "-d", "-C", rev, "/"]);
    listed.split_whitespace().skip(4).collect()
}

fn with_input(lab: &Lab, words: &[&str], input: &[u8]) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trefoil"))
        .args(words)
        .arg("--repo=repo")
        .current_dir(lab.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("it is piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn full(lab: &Lab) -> String {
    let checksum = lab.must(&["commit", "--orphan", "--no-index", "--tree=dir=tree"]);
    tree_of(lab, checksum.trim())
}

/// Guards that a told commit, over the parent or a base, is the full one, and that what was not
/// told is not looked at.
#[test]
fn changed_paths_make_the_full_commit() {
    let lab = Lab::with_history("archive");
    fs::write(lab.path("tree/dir/file"), "again").expect("tree is writable");
    fs::write(lab.path("tree/new\nline"), "n").expect("tree is writable");
    fs::remove_dir_all(lab.path("tree/fresh")).expect("tree is writable");
    let expected = full(&lab);
    let words = ["commit", "-b", "main", "--changed-from=-", "tree"];
    let said = with_input(&lab, &words, b"dir/file\0/new\nline\0./fresh\0");
    assert!(said.ok, "{said:?}");
    assert_eq!(tree_of(&lab, "main"), expected);
    fs::write(lab.path("list"), "dir/file\nnew\n\nfresh/one\n").expect("the folder is writable");
    fs::remove_file(lab.path("tree/new\nline")).expect("tree is writable");
    let words = ["commit", "--orphan", "--base=main^", "--changed-from=list", "--tree=dir=tree"];
    let based = lab.must(&words);
    assert_eq!(tree_of(&lab, based.trim()), full(&lab));
    fs::write(lab.path("tree/dir/file"), "unseen").expect("tree is writable");
    fs::write(lab.path("list"), "nosuch\n").expect("the folder is writable");
    let before = lab.must(&["rev-parse", "main"]);
    let words = ["commit", "-b", "main", "--skip-if-unchanged", "--changed-from=list", "tree"];
    assert_eq!(lab.must(&words), before);
}

/// Guards that what cannot give the right commit is refused, in words that say what to do.
#[test]
fn changed_paths_are_refused_where_they_make_no_sense() {
    let lab = Lab::with_history("archive");
    fs::write(lab.path("list"), "dir/file\n").expect("the folder is writable");
    fs::write(lab.path("bad"), "dir/../file\n").expect("the folder is writable");
    fs::write(lab.path("latin"), b"dir/\xe9\n").expect("the folder is writable");
    for (words, expected) in [
        ("-b main --changed-from=list", "wants exactly one directory"),
        ("-b main --changed-from=list --tree=ref=main", "wants exactly one directory"),
        ("-b main --changed-from=list --tree=dir=tree --tree=dir=tree", "exactly one directory"),
        ("-b main --changed-from=list --consume tree", "both --changed-from and --consume"),
        ("-b main --changed-from=list --whiteouts tree", "both --changed-from and --whiteouts"),
        ("-b main --changed-from=list --index tree", "both --changed-from and --index"),
        ("-b main --changed-from=list --delete-from=list tree", "and --delete-from"),
        ("-b fresh --changed-from=list tree", "make a full commit first"),
        ("--orphan --changed-from=list tree", "make a full commit first"),
        ("-b main --parent=none --changed-from=list tree", "make a full commit first"),
        ("-b main --changed-from=bad tree", "Invalid path 'dir/../file'"),
        (
            "-b main --changed-from=latin tree",
            "Invalid UTF-8 in a path of --changed-from: dir/\\xe9",
        ),
        ("-b main --changed-from=nosuch tree", "reading nosuch"),
    ] {
        let words: Vec<&str> = ["commit"].into_iter().chain(words.split(' ')).collect();
        let before = lab.must(&["refs", "-r", "--list"]);
        let said = lab.trefoil(&words);
        assert!(!said.ok && said.error_line().contains(expected), "{words:?}: {said:?}");
        assert_eq!(lab.must(&["refs", "-r", "--list"]), before);
    }
    let tip = lab.must(&["rev-parse", "main"]);
    fs::create_dir_all(lab.path("repo/state")).expect("the repository is writable");
    let mark = format!("repo/state/{}.commitpartial", tip.trim());
    fs::write(lab.path(&mark), "").expect("the repository is writable");
    let said = lab.trefoil(&["commit", "-b", "main", "--changed-from=list", "tree"]);
    assert!(said.error_line().contains("partial commit"), "{said:?}");
}

/// Guards that the lists by path work, and that what of them was not met is no error.
#[test]
fn changed_paths_meet_the_lists() {
    let lab = Lab::with_history("bare-user");
    fs::write(lab.path("skips"), "/dir/file\n/prog\n").expect("the folder is writable");
    let options = ["--skip-list=skips", "--no-index", "--tree=dir=tree"];
    let commit =
        |more: &[&str]| lab.must(&[&["commit", "-b", "main"], &options[..], more].concat());
    commit(&[]);
    fs::write(lab.path("tree/dir/file"), "skipped").expect("tree is writable");
    fs::write(lab.path("tree/new"), "newer").expect("tree is writable");
    fs::write(lab.path("list"), "dir/file\nnew\n").expect("the folder is writable");
    commit(&["--changed-from=list"]);
    let got = tree_of(&lab, "main");
    commit(&[]);
    assert_eq!(got, tree_of(&lab, "main"));
}

/// Guards layers of containers: a whiteout hides what earlier trees have, and is not committed.
#[test]
fn whiteouts_hide_what_is_below() {
    let lab = Lab::with_history("archive");
    fs::create_dir_all(lab.path("layer/dir")).expect("the folder is writable");
    fs::write(lab.path("layer/.wh.new"), "").expect("the folder is writable");
    fs::write(lab.path("layer/dir/.wh..wh..opq"), "").expect("the folder is writable");
    fs::write(lab.path("layer/dir/only"), "o").expect("the folder is writable");
    let words = ["commit", "-b", "layered", "--tree=ref=main", "--tree=dir=layer"];
    lab.must(&[&words[..], &["--whiteouts"]].concat());
    let names = lab.must(&["ls", "-R", "--nul-filenames-only", "layered"]);
    let names: Vec<&str> = names.split('\0').collect();
    assert!(names.contains(&"/dir/only") && names.contains(&"/fresh/one"), "{names:?}");
    assert!(!names.contains(&"/new") && !names.contains(&"/dir/file"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains(".wh.")), "{names:?}");
    lab.must(&["commit", "-b", "alone", "--whiteouts", "layer"]);
    assert!(!lab.must(&["ls", "-R", "alone"]).contains(".wh."));
}

/// Guards that the list works on all trees together, and that a path that is not there is named.
#[test]
fn listed_paths_are_left_out() {
    let lab = Lab::with_history("archive");
    fs::write(lab.path("list"), "/fresh\ndir/file\n").expect("the folder is writable");
    lab.must(&["commit", "-b", "less", "--tree=ref=main", "--delete-from=list"]);
    let names = lab.must(&["ls", "-R", "less"]);
    assert!(!names.contains("/fresh") && !names.contains("/dir/file"), "{names}");
    let words = ["commit", "-b", "less", "--tree=dir=tree", "--delete-from=-"];
    let said = with_input(&lab, &words, b"new\nno/such\n");
    assert_eq!(said.error_line(), "error: No such file or directory: no/such");
    assert!(with_input(&lab, &words, b"new\n").ok);
    assert!(!lab.must(&["ls", "less"]).contains("/new"));
}

/// Guards that a list that names nothing is not passed over in silence: one with the line ends
/// of another system would lose every change.
#[test]
fn paths_that_name_nothing_are_counted() {
    let lab = Lab::with_history("archive");
    fs::write(lab.path("tree/dir/file"), "again").expect("tree is writable");
    let words = ["commit", "-b", "main", "--changed-from=-", "tree"];
    let said = with_input(&lab, &words, b"dir/file\r\nno/such/path\nfresh/one\nempty\n");
    assert!(said.ok, "{said:?}");
    // `empty` went with an earlier commit.
    assert!(said.err.starts_with("warning: 3 of the paths listed"), "{said:?}");
    let said = with_input(&lab, &words, b"dir/file\n");
    assert!(said.ok && said.err.is_empty(), "{said:?}");
}
