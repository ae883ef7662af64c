//! `commit --tree=tar` and `export` by the command line.

use std::process::{Command, Stdio};

use crate::support::Lab;

fn shell(lab: &Lab, command: &str) -> (bool, String) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", command])
        .env("trefoil", env!("CARGO_BIN_EXE_trefoil"))
        .current_dir(lab.path("."))
        .stdin(Stdio::null())
        .output()
        .expect("bash starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).trim().to_string())
}

/// Guards pipes in both directions, and that a reader who leaves early is no failure.
#[test]
fn archives_go_through_pipes() {
    let lab = Lab::with_history("archive");
    let command = "$trefoil --repo=repo export main | \
         $trefoil --repo=repo commit --orphan --tree=tar=-";
    let (ok, commit) = shell(&lab, command);
    assert!(ok, "{commit}");
    assert_eq!(lab.must(&["diff", "main", &commit]), "");
    let (ok, text) = shell(&lab, "$trefoil --repo=repo export main | head -c 1");
    assert!(ok, "{text}");
    let command = "$trefoil --repo=repo export main --subpath=dir --prefix=x/ -o a.tar && \
         cat a.tar | $trefoil --repo=repo commit -b new --base=main --tree=tar=- \
         --tar-pathname-filter='^x/,copy/' && \
         $trefoil --repo=repo ls new copy";
    let (ok, text) = shell(&lab, command);
    assert!(ok && text.contains("/copy/file"), "{text}");
}

/// Guards that what makes no sense is refused before anything is written.
#[test]
fn nonsense_is_refused() {
    let lab = Lab::with_history("archive");
    for (words, said) in [
        (&["--tree=tar=missing"][..], "opening missing"),
        (&["--tree=tar=x", "--tar-pathname-filter=a"], "Missing ',' in --tar-pathname-filter"),
        (&["--tree=tar=x", "--tar-pathname-filter=(,b"], "--tar-pathname-filter: "),
        (&["--tree=tar=x", "--changed-from=x"], "--changed-from wants exactly one directory"),
        (&["--tree=tar=repo/config"], "Unrecognized archive format"),
    ] {
        let answer = lab.trefoil(&[&["commit", "--orphan"], words].concat());
        assert!(!answer.ok && answer.err.contains(said), "{answer:?}");
    }
    let answer = lab.trefoil(&["export", "main", "--subpath=dir/file"]);
    assert!(!answer.ok && answer.err.contains("Not a directory"), "{answer:?}");
    let answer = lab.trefoil(&["export"]);
    assert!(!answer.ok && answer.err.contains("A COMMIT argument is required"), "{answer:?}");
}
