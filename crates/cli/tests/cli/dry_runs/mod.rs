//! `--dry-run`: it writes nothing at all, and says what then happens.

mod copies;
mod trees;
mod words;

use std::fs;

use serde_json::Value;

use crate::support::{Lab, Said};

/// An ed25519 key: the seed, then the public half, in base64.
const SECRET: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

/// Takes commits under any name.
const LOOSE: &str = "--disable-verify-bindings";

/// Runs a dry run, which must not write anything anywhere.
fn dry(lab: &Lab, repo: &str, words: &[&str]) -> Said {
    let words: Vec<&str> = words.iter().copied().chain(["--dry-run"]).collect();
    let before = lab.state();
    let said = lab.trefoil_on(repo, &words);
    let after = lab.state();
    for (path, state) in &after {
        assert_eq!(before.get(path), Some(state), "{words:?} changed {}", path.display());
    }
    assert_eq!(before.len(), after.len(), "{words:?} removed something");
    said
}

/// The same, of one that has to succeed and say something.
fn plan(lab: &Lab, repo: &str, words: &[&str]) -> String {
    let said = dry(lab, repo, words);
    assert!(said.ok && !said.out.is_empty(), "{words:?}: {said:?}");
    said.out
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn on(lab: &Lab, repo: &str, words: &[&str]) -> String {
    let said = lab.trefoil_on(repo, words);
    assert!(said.ok, "{words:?}: {said:?}");
    said.out
}

fn rev(lab: &Lab, rev: &str) -> String {
    lab.must(&["rev-parse", rev]).trim().to_string()
}

/// Guards that the error of the real run is that of the dry run too.
fn fail_alike(lab: &Lab, repo: &str, words: &[&str]) {
    let planned = dry(lab, repo, words);
    let real = lab.trefoil_on(repo, words);
    assert!(!planned.ok && !real.ok, "{words:?}: {planned:?}, {real:?}");
    assert_eq!(planned.error_line(), real.error_line(), "{words:?}");
}

fn same(planned: &Value, real: &Value, keys: &[&str]) {
    for key in keys {
        assert_eq!(planned[key], real[key], "{key}: {planned} and {real}");
        assert!(!planned[key].is_null(), "{key} is not there: {planned}");
    }
}

/// Guards that a plan needs nothing that only writers make: neither lock nor `tmp` come.
#[test]
fn nothing_is_made_where_nothing_was() {
    let lab = Lab::with_history("archive");
    on(&lab, "empty", &["init", "--mode=archive"]);
    for repo in ["repo", "empty"] {
        fs::remove_dir_all(lab.path(repo).join("tmp")).expect("it is there");
        let _ = fs::remove_file(lab.path(repo).join(".lock"));
    }
    fs::create_dir(lab.path("stick")).expect("the folder is writable");
    fs::write(lab.path("key"), SECRET).expect("the folder is writable");
    for (repo, words) in [
        ("empty", "pull-local repo --disable-verify-bindings"),
        ("empty", "pull-local repo main --json --depth=-1"),
        ("empty", "commit -b new tree"),
        ("repo", "commit -b main --tree=dir=tree --json"),
        ("repo", "commit --orphan --tree=ref=main^"),
        ("repo", "checkout -U main out"),
        ("repo", "static-delta generate main"),
        ("repo", "static-delta generate --empty main --filename=delta"),
        ("repo", "static-delta reindex"),
        ("repo", "summary -u"),
        ("repo", "summary -u --json"),
        ("repo", "sign main --keys-file=key"),
        ("repo", "config set core.min-free-space-size 1GB"),
        ("repo", "config unset core.nosuch"),
        ("repo", "reset main main^"),
        ("repo", "refs --delete a"),
        ("repo", "refs --create=fresh main"),
        ("repo", "remote add third http://x"),
        ("repo", "remote delete origin"),
        ("fresh", "init --mode=bare-user"),
        ("repo", "init"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let before = lab.state();
        let said = dry(&lab, repo, &words);
        assert!(said.ok, "{words:?}: {said:?}");
        assert!(!said.out.is_empty(), "{words:?} says nothing");
        assert_eq!(before, lab.state(), "{words:?}");
    }
}
