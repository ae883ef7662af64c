//! `demo` and `bench`, on trees small enough for a test.

use std::path::Path;
use std::process::{Command, Output};

use trefoil_testkit::ostree::{is_root, missing};

use crate::support::need_ostree;

fn trefoil(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
    command.args(words).output().expect("the program starts")
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("below the root")).expect("a fresh place");
    std::fs::write(path, content).expect("a fresh place");
}

/// A tree with enough of everything for all versions to change something.
fn small_tree(root: &Path) {
    for number in 0..40 {
        write(root, &format!("usr/share/docs/{number}/text"), &format!("text {number}\n"));
        write(root, &format!("usr/lib/part-{number}"), &format!("part {number}\n"));
    }
    for number in 0..3 {
        let link = root.join(format!("usr/lib/link-{number}"));
        std::os::unix::fs::symlink("part-1", link).expect("a fresh place");
    }
    write(root, "usr/lib/os-release", "NAME=Small\nID=small\n");
    for name in ["issue", "host.conf", "issue.net", "networks"] {
        write(root, &format!("etc/{name}"), &format!("{name}\n"));
    }
}

/// Guards the whole demonstration: recycled deployments, the one conflict in /etc, agreement of
/// libostree, and that nothing stays behind.
#[test]
fn the_demonstration_ends_well() {
    if !need_ostree() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let (tree, place) = (dir.path().join("tree"), dir.path().join("place"));
    small_tree(&tree);
    std::fs::create_dir(&place).expect("a fresh place");
    let (tree, at) = (tree.display().to_string(), place.display().to_string());
    let output = trefoil(&["demo", "--tree", &tree, "--dir", &at]);
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    let counted = |words: &str| text.matches(words).count();
    assert_eq!(counted("= deploy, recycled"), 3, "{text}");
    assert_eq!(counted("= deploy, full checkout"), 4, "{text}");
    assert!(text.contains("/etc conflict: issue: changed on both sides, local version kept"));
    assert_eq!(counted(" agrees: fsck, status, tree and /etc."), 1, "{text}");
    assert_eq!(std::fs::read_dir(&place).expect("it is there").count(), 0, "left behind");
}

/// Guards the shape of the numbers that scripts read, and that both tools commit the same.
#[test]
fn the_benchmark_gives_numbers() {
    if !need_ostree() {
        return;
    }
    if !is_root() {
        missing("bench deploys from mode bare, which needs root");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let at = dir.path().display().to_string();
    let words =
        ["bench", "deploy", "--entries=200", "--changed=3", "--rounds=1", "--json", "--dir", &at];
    let output = trefoil(&words);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let tools: Vec<&str> = results["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .map(|cell| cell["tool"].as_str().expect("a tool"))
        .collect();
    let full = ["trefoil", "ostree", "trefoil", "ostree"];
    // With commits that do not carry a version, and with such that do.
    let deploys = ["ostree", "trefoil stat", "trefoil none"];
    assert_eq!(tools, [&full[..], &deploys, &deploys].concat());
    for cell in results["cells"].as_array().expect("cells") {
        let samples = cell["samples"].as_array().expect("samples");
        assert!(samples.iter().all(|s| s["wall"].as_f64() > Some(0.0)), "{cell}");
    }
}
