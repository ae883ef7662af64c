//! `static-delta` beside that of `ostree`.

use std::process::Command;

use crate::support::{Differing, Lab, Said, need_ostree};

/// Guards the words of every subcommand that only reads, for deltas of either tool.
#[test]
fn reading_subcommands_print_what_ostree_prints() {
    if !need_ostree() {
        return;
    }
    let mut differing = Differing::default();
    let lab = Lab::with_history("archive");
    for words in ["static-delta list", "static-delta indexes"] {
        differing.compare(&lab, "none", &words.split(' ').collect::<Vec<_>>());
    }
    lab.must(&["static-delta", "generate", "main"]);
    assert!(lab.ostree(&["static-delta", "generate", "--from=main^^", "main^"]).ok);
    let rev = |rev: &str| lab.must(&["rev-parse", rev]).trim().to_string();
    let (ours, theirs) = (
        format!("{}-{}", rev("main^"), rev("main")),
        format!("{}-{}", rev("main^^"), rev("main^")),
    );
    for words in [
        vec!["static-delta", "show", &ours],
        vec!["static-delta", "show", &theirs],
        vec!["static-delta", "reindex"],
        vec!["summary", "-u"],
    ] {
        differing.compare(&lab, "two deltas", &words);
    }
    for verb in ["list", "indexes"] {
        let sorted = |out: String| {
            let mut lines: Vec<String> = out.lines().map(str::to_string).collect();
            lines.sort();
            lines
        };
        let words = ["static-delta", verb];
        let (ours, theirs) = (sorted(lab.must(&words)), sorted(lab.ostree(&words).out));
        assert_eq!(ours, theirs);
        assert_eq!(ours.len(), 2);
    }
    differing.must_be_none();
    let list: Vec<String> =
        serde_json::from_str(&lab.must(&["static-delta", "list", "--json"])).expect("it is JSON");
    assert_eq!(list.len(), 2);
    let shown: serde_json::Value =
        serde_json::from_str(&lab.must(&["static-delta", "show", &ours, "--json"])).expect("JSON");
    assert_eq!(shown["endianness"], "little");
    assert_eq!(shown["parts"].as_array().map(Vec::len), Some(1));
}

/// Guards that failures are failures, in words that name the same thing.
#[test]
fn failing_subcommands_fail_as_ostree_does() {
    if !need_ostree() {
        return;
    }
    let lab = Lab::with_history("archive");
    let mut differing = Differing::default();
    for words in [
        "static-delta",
        "static-delta nosuch",
        "static-delta show",
        "static-delta show GARBAGE",
        "static-delta delete",
        "static-delta delete GARBAGE",
        "static-delta generate",
        "static-delta generate --empty --from=main^ main",
        "static-delta generate --set-endianness=x main",
        "static-delta generate nosuch",
        "static-delta apply-offline",
        "static-delta verify",
        "static-delta reindex --to=short",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        // The help before the message is compared by the suite of libostree.
        let (theirs, ours) = (lab.ostree(&words), lab.trefoil(&words));
        let alike = ours.error_line().starts_with(theirs.error_line());
        assert!(!theirs.ok && !ours.ok && alike, "{words:?}\n{theirs:#?}\n{ours:#?}");
    }
    let gone = lab.must(&["rev-parse", "main"]);
    differing.compare_failure(&lab, &["static-delta", "delete", gone.trim()]);
    differing.must_be_none();
}

/// Guards the way a script goes: made, not made again, applied elsewhere, deleted.
#[test]
fn made_applied_and_deleted() {
    if !need_ostree() {
        return;
    }
    let lab = Lab::with_history("archive");
    let out = lab.trefoil(&["static-delta", "generate", "--from=main^", "--to=main", "--inline"]);
    assert!(out.out.starts_with("Generating static delta:\n  From: "), "{out:?}");
    assert!(out.err.contains("\nbsdiff=") && out.err.contains("part 1 n:"), "{out:?}");
    let again = lab.must(&["static-delta", "generate", "-n", "main"]);
    assert!(again.ends_with(" already exists.\n"), "{again}");
    let name = lab.must(&["static-delta", "list"]).trim().to_string();
    lab.must(&["static-delta", "generate", "main", "--filename=one.delta"]);
    lab.must(&["static-delta", "show", "./one.delta"]);
    let other = lab.path("other").display().to_string();
    let on_other = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).arg(format!("--repo={other}")).current_dir(lab.path("."));
        let output = command.output().expect("the program can be started");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    on_other("ostree", &["init", "--mode=bare-user"]);
    let from = name.split('-').next().expect("a name");
    on_other("ostree", &["pull-local", "repo", from]);
    on_other(TREFOIL, &["static-delta", "apply-offline", "one.delta"]);
    on_other("ostree", &["fsck", "-q"]);
    let to = lab.must(&["rev-parse", "main"]);
    assert_eq!(
        on_other("ostree", &["ls", "-RC", to.trim()]),
        lab.ostree(&["ls", "-RC", "main"]).out
    );
    lab.must(&["static-delta", "delete", &name]);
    assert_eq!(lab.must(&["static-delta", "list"]), "(No static deltas)\n");
}

const TREFOIL: &str = env!("CARGO_BIN_EXE_trefoil");

/// Runs a program where signatures of the type `dummy` count: Debian's `ostree` has no other.
fn with_dummy(lab: &Lab, program: &str, repo: &str, words: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(words).arg(format!("--repo={repo}")).current_dir(lab.path("."));
    let output = command.env("OSTREE_DUMMY_SIGN_ENABLED", "1").output().expect("it starts");
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Guards the form of signed deltas: what either tool signs both verify, refuse with another
/// key and apply, in the same words.
#[test]
fn each_verifies_what_the_other_signed() {
    if !need_ostree() {
        return;
    }
    let lab = Lab::with_history("archive");
    let rev = |rev: &str| lab.must(&["rev-parse", rev]).trim().to_string();
    let name = format!("{}-{}", rev("main^"), rev("main"));
    for (maker, inline) in [(TREFOIL, false), ("ostree", false), (TREFOIL, true)] {
        let signed = ["--from=main^", "--to=main", "--sign-type=dummy", "--sign=word"];
        let words = [&["static-delta", "generate", "--filename=one.delta"], &signed[..]].concat();
        let words = [&words[..], if inline { &["--inline"] } else { &[] }].concat();
        let made = with_dummy(&lab, maker, "repo", &words);
        assert!(made.ok, "{made:?}");
        for (key, verdict) in [("word", "Verification OK\n"), ("other", "Verification fails\n")] {
            let words = ["static-delta", "verify", "--sign-type=dummy", "./one.delta", key];
            let ours = with_dummy(&lab, TREFOIL, "repo", &words);
            let theirs = with_dummy(&lab, "ostree", "repo", &words);
            assert_eq!((ours.out.as_str(), ours.ok), (verdict, key == "word"), "{maker}");
            assert_eq!((ours.out, ours.err), (theirs.out, theirs.err), "{maker}");
        }
        for taker in [TREFOIL, "ostree"] {
            let _ = std::fs::remove_dir_all(lab.path("other"));
            for words in [&["init", "--mode=bare-user"][..], &["pull-local", "repo", &name[..64]]] {
                let said = with_dummy(&lab, "ostree", "other", words);
                assert!(said.ok, "{said:?}");
            }
            let apply = ["static-delta", "apply-offline", "--sign-type=dummy", "one.delta"];
            let bad = with_dummy(&lab, taker, "other", &[&apply[..], &["other"]].concat());
            assert!(bad.err.contains("signature: dummy: incorrect signatures found: 1"), "{bad:?}");
            let good = with_dummy(&lab, taker, "other", &[&apply[..], &["word"]].concat());
            assert!(good.ok, "{maker}, {taker}: {good:?}");
            assert!(with_dummy(&lab, "ostree", "other", &["fsck", "-q"]).ok);
        }
    }
    lab.must(&["static-delta", "generate", "main"]);
    let words = ["static-delta", "verify", "--sign-type=dummy", &name, "word"];
    let ours = with_dummy(&lab, TREFOIL, "repo", &words);
    assert_eq!(ours.out, "Verification fails\n");
    assert_eq!(ours.error_line(), "error: no signatures in static-delta");
}

/// Guards that in a pull a signature of the delta does not stand in for that of the commit,
/// which a remote with `sign-verify` wants; and that signatures around a delta do no harm.
#[test]
fn a_pull_wants_the_commit_signed() {
    if !need_ostree() {
        return;
    }
    let lab = Lab::with_history("archive");
    // RFC 8032, 7.1, test 2.
    let secret =
        "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA==";
    let public = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    let sign = format!("--sign={secret}");
    lab.must(&["static-delta", "generate", "--empty", &sign, "main"]);
    lab.must(&["summary", "-u"]);
    let other = |words: &[&str]| with_dummy(&lab, TREFOIL, "other", words);
    assert!(other(&["init", "--mode=bare-user"]).ok);
    let url = format!("file://{}", lab.path("repo").display());
    let verify = format!("--sign-verify=ed25519=inline:{public}");
    assert!(other(&["remote", "add", "--no-gpg-verify", &verify, "origin", &url]).ok);
    let pull = ["pull", "--require-static-deltas", "origin", "main"];
    let said = other(&pull);
    assert!(!said.ok && said.err.contains("Can't verify commit"), "{said:?}");
    lab.must(&["sign", "main", secret]);
    lab.must(&["static-delta", "generate", "--empty", &sign, "main"]);
    lab.must(&["summary", "-u"]);
    let said = other(&pull);
    assert!(said.ok, "{said:?}");
    assert!(with_dummy(&lab, "ostree", "other", &["fsck", "-q"]).ok);
}
