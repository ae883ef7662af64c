//! `static-delta` beside that of `ostree`.

use crate::support::{Differing, Lab, need_ostree};

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
        let mut command = std::process::Command::new(program);
        command.args(words).arg(format!("--repo={other}")).current_dir(lab.path("."));
        let output = command.output().expect("the program can be started");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    on_other("ostree", &["init", "--mode=bare-user"]);
    let from = name.split('-').next().expect("a name");
    on_other("ostree", &["pull-local", "repo", from]);
    // Keys count for nothing where there are no signatures, as with ostree.
    let words = ["static-delta", "apply-offline", "one.delta", "a2V5"];
    on_other(env!("CARGO_BIN_EXE_trefoil"), &words);
    on_other("ostree", &["fsck", "-q"]);
    let to = lab.must(&["rev-parse", "main"]);
    assert_eq!(
        on_other("ostree", &["ls", "-RC", to.trim()]),
        lab.ostree(&["ls", "-RC", "main"]).out
    );
    lab.must(&["static-delta", "delete", &name]);
    assert_eq!(lab.must(&["static-delta", "list"]), "(No static deltas)\n");
}
