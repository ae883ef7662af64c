//! What `ostree` does not have: JSON, plans, hints; and what it promises to scripts.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::Lab;

const TREFOIL: &str = env!("CARGO_BIN_EXE_trefoil");

/// Guards that every reading verb has `--json` and that it is JSON.
#[test]
fn reading_verbs_speak_json() {
    let lab = Lab::with_history("archive");
    for words in [
        "log main",
        "show main",
        "rev-parse main",
        "refs",
        "refs -A",
        "ls -R main",
        "diff main",
        "diff --stats --fs-diff main^ main",
        "config get core.mode",
        "prune --no-prune",
        "fsck",
        "summary -v",
        "remote list",
        "remote show-url origin",
        "checksum tree/prog",
        "commit --orphan --tree=ref=main",
        "checkout -U main out",
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--json"]).collect();
        let text = lab.must(&words);
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(parsed.is_ok(), "{words:?}: {text}");
    }
    let log: serde_json::Value =
        serde_json::from_str(&lab.must(&["log", "--json", "main"])).expect("checked above");
    assert_eq!(log[0]["version"], "1.5");
    assert_eq!(log[2]["timestamp"], 1_000_000_000);
    assert_eq!(log.as_array().map(Vec::len), Some(3));
}

/// Guards that `--dry-run` says what would be done and does nothing.
#[test]
fn plans_change_nothing() {
    let lab = Lab::with_history("archive");
    let before = (lab.must(&["refs", "-r", "--list"]), lab.must(&["remote", "list", "-u"]));
    for words in [
        "reset main main^ --dry-run",
        "refs --delete a --dry-run",
        "refs --create=fresh main --dry-run",
        "refs -A --create=fresh main --dry-run",
        "remote add third http://x --dry-run",
        "remote delete origin --dry-run",
        "prune --refs-only --depth=0 --dry-run",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        assert!(!lab.must(&words).is_empty(), "{words:?} says nothing");
    }
    let after = (lab.must(&["refs", "-r", "--list"]), lab.must(&["remote", "list", "-u"]));
    assert_eq!(before, after);
    lab.must(&["log", "main"]);
}

/// Guards that what is missing says so, and never acts as if it were there.
#[test]
fn missing_verbs_fail_clearly() {
    let lab = Lab::with_history("archive");
    for words in [
        "sign --delete main key",
        "commit --orphan --tree=dir=tree --generate-composefs-metadata",
        "checkout --composefs main out",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let said = lab.trefoil(&words);
        assert!(!said.ok, "{words:?}");
        assert!(said.error_line().ends_with("is not implemented yet"), "{words:?}: {said:?}");
        assert!(said.err.contains("hint: COMPATIBILITY.md"), "{said:?}");
    }
}

/// Guards that options which would do nothing are told so: a commit that was to be signed is
/// not made unsigned.
#[test]
fn options_without_effect_are_refused() {
    let lab = Lab::with_history("archive");
    for (words, expected) in [
        ("commit --orphan --tree=dir=tree --sign-type=ed25519", "--sign-type=ed25519 needs a key"),
        ("summary -u --sign-type=spki", "--sign-type=spki needs a key to sign with"),
        ("commit --orphan --tree=dir=tree --tar-autocreate-parents", "--tar-autocreate-parents is"),
        ("commit --orphan tree --tar-pathname-filter=a,b", "--tar-pathname-filter is for --tree="),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let said = lab.trefoil(&words);
        assert!(!said.ok, "{words:?}");
        assert!(said.error_line().starts_with(&format!("error: {expected}")), "{said:?}");
    }
}

/// Guards the YAML that scripts grep in.
#[test]
fn version_is_yaml_in_one_piece() {
    let output = Command::new(TREFOIL).arg("--version").output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("it is text");
    assert!(text.starts_with("libostree:\n Version: '2026.4'\n"), "{text}");
    assert!(text.contains("\n Features:\n  - "), "{text}");
}

/// Guards that a reader that goes away early is no error.
#[test]
fn a_closed_pipe_is_no_error() {
    let lab = Lab::with_history("archive");
    let mut child = Command::new(TREFOIL)
        .args(["ls", "-RCX", "main", "--repo=repo"])
        .current_dir(lab.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut words = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut words).expect("it is text");
    assert!(child.wait().expect("it ends").success(), "{words}");
    assert_eq!(words, "");
}

/// Guards that under the name `ostree` the help is that of `ostree`, and that an unknown verb
/// runs the program of that name.
#[test]
fn it_stands_in_for_ostree() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let lab = Lab::new("archive");
    symlink(TREFOIL, lab.path("ostree")).expect("the folder is writable");
    let extension = lab.path("ostree-greet");
    std::fs::write(&extension, "#!/bin/sh\necho \"$@\"\n").expect("the folder is writable");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&extension, mode).expect("the file is ours");
    let run = |words: &[&str]| {
        let mut command = Command::new(lab.path("ostree"));
        command.args(words).env("PATH", lab.path("."));
        let output = command.output().expect("it starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run(&["refs", "--help"]).starts_with("Usage:\n  ostree refs [OPTION\u{2026}]"));
    assert_eq!(run(&["greet", "x", "--flag"]), "greet x --flag\n");
}

/// Guards that a broken system call is told with advice: a missing repository names its path.
#[test]
fn errors_name_the_path() {
    let lab = Lab::new("archive");
    let output = Command::new(TREFOIL)
        .args(["refs", "--repo=nosuch"])
        .current_dir(lab.path("."))
        .output()
        .expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("opening repo") && words.contains("nosuch"), "{words}");
    assert_eq!(output.status.code(), Some(1));
}

/// Guards that man pages and completions can be made from the definitions.
#[test]
fn manuals_are_made() {
    let lab = Lab::new("archive");
    let man = lab.path("man");
    let to = man.to_str().expect("it is UTF-8");
    lab.must(&["util", "man", to]);
    assert!(man.join("trefoil-commit.1").exists());
    assert!(lab.must(&["util", "completions", "bash"]).contains("trefoil"));
}

/// Guards the units that are packaged: what they run is understood, and each is in the package.
#[test]
fn units_run_what_there_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("it is ours");
    let units = std::fs::read_dir(root.join("../../packaging/systemd")).expect("they are ours");
    let lab = Lab::new("archive");
    let mut count = 0;
    for unit in units {
        let path = unit.expect("it can be listed").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("it is a name");
        assert!(manifest.contains(&format!("unit-name = \"{stem}\"")), "{stem} is not packaged");
        let text = std::fs::read_to_string(&path).expect("it is text");
        let commands = text.lines().filter_map(|line| line.split_once("=/usr/bin/trefoil "));
        for (_, words) in commands {
            let words = words.replace("${FOLLOW}", "http://host/").replace("${APPLY}", "reboot");
            let words: Vec<&str> = words.split(' ').chain(["--help"]).collect();
            lab.must(&words);
            count += 1;
        }
    }
    assert_eq!(count, 3);
}
