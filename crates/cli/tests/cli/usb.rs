//! `create-usb` and `find-remotes` beside the real `ostree`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::signatures::Signers;
use crate::support::{Differing, Lab, Said, need_ostree};

const ID: &str = "org.example.Apps";

/// A repository `repo` that has `one` and `two` of a collection from a remote `up`.
fn lab() -> Lab {
    let lab = Lab::new("archive");
    lab.tree();
    let id = format!("--collection-id={ID}");
    run(&lab, "ostree", "up", &["init", "--mode=archive", &id]);
    for (branch, time) in [("one", "--timestamp=@1000000000"), ("two", "--timestamp=@1000000001")] {
        fs::write(lab.path("tree/branch"), branch).expect("the folder is writable");
        run(&lab, "ostree", "up", &["commit", "-b", branch, "--tree=dir=tree", time]);
    }
    run(&lab, "ostree", "up", &["summary", "-u"]);
    let url = format!("file://{}", lab.path("up").display());
    lab.must(&["remote", "add", "--no-sign-verify", &id, "up", &url]);
    lab.must(&["pull", "up", "one", "two"]);
    lab
}

/// Runs a program on another repository than `repo`; it has to succeed.
fn run(lab: &Lab, program: &str, repo: &str, words: &[&str]) -> String {
    let said = try_run(lab, program, repo, words);
    assert!(said.ok, "{program} {words:?}: {said:?}");
    said.out
}

fn try_run(lab: &Lab, program: &str, repo: &str, words: &[&str]) -> Said {
    let program = match program {
        "trefoil" => env!("CARGO_BIN_EXE_trefoil"),
        other => other,
    };
    let output = Command::new(program)
        .arg(format!("--repo={repo}"))
        .args(words)
        .current_dir(lab.path("."))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("the program can be started");
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Names of everything on a stick, without what programs keep to themselves, and the text of
/// refs and settings.
fn snapshot(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").display().to_string();
            let kind = fs::symlink_metadata(&path).expect("it is there").file_type();
            if kind.is_symlink() {
                found
                    .insert(format!("{name} -> {}", fs::read_link(&path).expect("link").display()));
            } else if kind.is_file() {
                let told = name.contains("/refs/") || name.ends_with("/config");
                let text = told.then(|| fs::read_to_string(&path).expect("text"));
                found.insert(format!("{name}: {}", text.unwrap_or_default()));
            } else if !name.ends_with("/tmp") {
                found.insert(name);
                open.push(path);
            }
        }
    }
    found
}

/// A stick that ostree makes and one that we make hold the same, in any place on it; each adds
/// to what the other made, and says the same.
#[test]
fn sticks_are_as_ostree_makes_them() {
    if !need_ostree() {
        return;
    }
    let lab = lab();
    let places: [&[&str]; 3] =
        [&[], &["--destination-repo=ostree/repo"], &["--destination-repo=my/own"]];
    for place in places {
        let mut made = Vec::new();
        for (first, second) in
            [("ostree", "trefoil"), ("trefoil", "ostree"), ("trefoil", "trefoil")]
        {
            fs::create_dir(lab.path("stick")).expect("the folder is writable");
            let add = |program, name| {
                let words = [&["create-usb", "stick", ID, name][..], place].concat();
                run(&lab, program, "repo", &words)
            };
            let said = [add(first, "one"), add(second, "two")].concat();
            let repo = match place {
                [] => "stick/.ostree/repo",
                [place] => &format!("stick/{}", &place["--destination-repo=".len()..]),
                _ => unreachable!("one option at most"),
            };
            run(&lab, "ostree", repo, &["fsck", "-q"]);
            let summary = run(&lab, "ostree", repo, &["summary", "-v"]);
            // In what order they stand is chance there.
            let summary: BTreeSet<String> = summary
                .lines()
                .filter(|line| !line.starts_with("Last-Modified"))
                .map(str::to_string)
                .collect();
            let mut stick = snapshot(&lab.path("stick"));
            // ostree does not see that there is a link already.
            let again = stick.remove(".ostree/repos.d/01-generated -> ../../my/own");
            assert_eq!(again, second == "ostree" && repo == "stick/my/own");
            made.push((said, summary, stick));
            fs::remove_dir_all(lab.path("stick")).expect("it is ours");
        }
        assert_eq!(made[0], made[2], "{place:?}");
        assert_eq!(made[1], made[2], "{place:?}");
    }
}

/// What makes no sense is refused in ostree's words, and nothing is made.
#[test]
fn refusals_are_ostrees() {
    if !need_ostree() {
        return;
    }
    let lab = lab();
    let mut differing = Differing::default();
    for words in [
        "create-usb",
        "create-usb stick",
        "create-usb stick org.example.Apps one org.example.Apps",
        "create-usb --commit=abc stick org.example.Apps one org.example.Apps two",
        "create-usb --destination-repo=repo . org.example.Apps one",
        "find-remotes",
        "find-remotes org.example.Apps",
        "find-remotes --mirror org.example.Apps one",
        "find-remotes --finders=config,other org.example.Apps one",
        "find-remotes --finders=config,config org.example.Apps one",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        differing.compare_failure(&lab, &words);
    }
    differing.must_be_none();
    let said = lab.trefoil(&["create-usb", "--destination-repo=../out", ".", ID, "one"]);
    assert!(said.error_line().contains("must be a descendent of MOUNT-PATH"), "{said:?}");
    assert!(!lab.path("../out").exists());
    let said = lab.trefoil(&["create-usb", ".", ID, "none"]);
    assert_eq!(said.error_line(), "error: Collection–ref (org.example.Apps, none) not found");
    assert!(!lab.path(".ostree").exists());
}

/// What is found in the settings is what ostree finds, with an outdated remote among it. The
/// order of refs is that of a hash table there.
#[test]
fn configured_remotes_are_found() {
    if !need_ostree() {
        return;
    }
    let lab = lab();
    run(&lab, "ostree", "lag", &["init", "--mode=archive"]);
    let url = format!("file://{}", lab.path("up").display());
    let id = format!("--collection-id={ID}");
    run(&lab, "ostree", "lag", &["remote", "add", "--no-sign-verify", &id, "up", &url]);
    run(&lab, "ostree", "lag", &["pull", "--mirror", "up", "one", "two"]);
    run(&lab, "ostree", "lag", &["summary", "-u"]);
    fs::write(lab.path("tree/branch"), "newer").expect("the folder is writable");
    let time = "--timestamp=@1000000009";
    run(&lab, "ostree", "up", &["commit", "-b", "two", "--tree=dir=tree", time]);
    run(&lab, "ostree", "up", &["summary", "-u"]);
    let lag = format!("file://{}", lab.path("lag").display());
    lab.must(&["remote", "add", "--no-sign-verify", &id, "lag", &lag]);
    lab.must(&["remote", "add", "--no-sign-verify", &id, "gone", "file:///nosuch"]);
    let id_other = "--collection-id=org.example.Other";
    lab.must(&["remote", "add", "--no-sign-verify", id_other, "other", &lag]);
    for refs in
        [&[ID, "one"][..], &[ID, "two", ID, "one", ID, "none"], &["org.example.Other", "one"]]
    {
        let words = [&["find-remotes", "--finders=config"][..], refs].concat();
        let sorted = |said: Said| {
            assert!(said.ok, "{said:?}");
            let mut lines: Vec<String> = said.out.lines().map(str::to_string).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(lab.trefoil(&words)), sorted(lab.ostree(&words)), "{refs:?}");
    }
    // Neither takes commits that are not signed, whatever the remote is configured with.
    let words = ["find-remotes", "--finders=config", "--pull", ID, "two"];
    let mut differing = Differing::default();
    let (theirs, ours) = (lab.ostree(&words), lab.trefoil(&words));
    assert!(!theirs.ok && !ours.ok, "{theirs:?} {ours:?}");
    assert!(ours.error_line().starts_with(theirs.error_line()), "{theirs:?} {ours:?}");
    differing.compare(&lab, "archive", &["refs"]);
    differing.must_be_none();
}

/// A mirror of all of a remote that has refs of two collections is that which ostree makes, its
/// summary to the bit.
#[test]
fn mirrors_are_ostrees() {
    if !need_ostree() {
        return;
    }
    let lab = lab();
    let create = "--create=org.example.Other:x/y";
    run(&lab, "ostree", "up", &["refs", "--collections", create, "one"]);
    run(&lab, "ostree", "up", &["summary", "-u"]);
    let url = format!("file://{}", lab.path("up").display());
    let mirror = |program| {
        run(&lab, program, program, &["init", "--mode=archive"]);
        run(&lab, program, program, &["remote", "add", "--no-sign-verify", "up", &url]);
        run(&lab, program, program, &["pull", "--mirror", "--disable-verify-bindings", "up"]);
        run(&lab, "ostree", program, &["fsck", "-q"]);
        let mut refs = run(&lab, "ostree", program, &["refs", "--collections"]);
        refs.push_str(&run(&lab, "ostree", program, &["refs"]));
        let refs: BTreeSet<String> = refs.lines().map(str::to_string).collect();
        let summary = fs::read(lab.path(program).join("summary")).expect("a summary");
        (refs, summary)
    };
    assert_eq!(mirror("trefoil"), mirror("ostree"));
}

/// A remote that claims a newer commit which nobody signed does not keep us from the newest one
/// that somebody did.
#[test]
fn a_liar_does_not_hide_updates() {
    let Some(signers) = Signers::new() else { return };
    signers.key("alice", "never");
    signers.export("keys", &["alice"]);
    let lab = &signers.lab;
    let id = format!("--collection-id={ID}");
    for (repo, time, sign) in [("good", "@1580000000", true), ("liar", "@1590000000", false)] {
        run(lab, "trefoil", repo, &["init", "--mode=archive", &id]);
        let time = format!("--timestamp={time}");
        let mut words = vec!["commit", "-b", "app", "--tree=dir=tree", &time];
        if sign {
            words.extend(["--gpg-homedir=gnupg", "--gpg-sign=alice@example.com"]);
        }
        run(lab, "trefoil", repo, &words);
        run(lab, "trefoil", repo, &["summary", "-u"]);
        let url = format!("file://{}", lab.path(repo).display());
        let said = lab.must(&["remote", "add", &id, "--gpg-import=keys", repo, &url]);
        assert!(said.contains("Imported 1 GPG key"), "{said}");
    }
    let said = lab.must(&["find-remotes", "--finders=config", "--pull", ID, "app"]);
    assert!(said.contains("Result 0: file://") && said.contains("/liar\n"), "{said}");
    assert!(said.ends_with("Pulled 1/1 refs successfully.\n"), "{said}");
    assert_eq!(lab.must(&["refs"]), "good:app\n");
    let signed = run(lab, "trefoil", "good", &["rev-parse", "app"]);
    assert_eq!(lab.must(&["rev-parse", "good:app"]), signed);
}
