//! Guards the grammars of names, with `ostree` as judge of refs and collections.

use std::process::Command;

use trefoil_format::name::{CollectionId, EntryName, RefName, Refspec, RemoteName};

use crate::tools::{have, ostree};

const REFS: &[&str] = &[
    "main",
    "a/b/c",
    "os/x86_64/stable",
    "a.b-c_d",
    "a..b",
    "a-",
    "a.",
    "1",
    "_",
    "\u{e4}",
    "\u{65e5}\u{672c}/\u{8a9e}",
    "\u{e9}",
    "\u{663}",
    "\u{2167}",
    "\u{b2}",
    "a\u{b2}",
    ".",
    "..",
    "a/../b",
    "-a",
    ".a",
    "a/-b",
    "a/.b",
    "/a",
    "a/",
    "a//b",
    "a b",
    "a@b",
    "a~",
    "a^",
    "a:b:c",
    ":a",
    "a:",
    "a:b",
    "r/x:b",
    "a*",
    "a\u{301}",
    "\u{915}\u{93f}",
    "\u{20ac}",
    "a\tb",
    "-",
    "\u{1f600}",
    "a\u{200b}",
];

#[test]
fn refs_are_judged_as_by_ostree() {
    if !have("ostree", "refs_are_judged_as_by_ostree") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    ostree(&repo, &["init", "--mode=archive"]);
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    ostree(&repo, &["commit", "-b", "x", &format!("--tree=dir={}", tree.display())]);
    for name in REFS {
        let output = Command::new("ostree")
            .arg(format!("--repo={}", repo.display()))
            .args(["refs", &format!("--create={name}"), "x"])
            .output()
            .unwrap();
        // Other failures, such as a file where a folder should be, are not about the name.
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        // "a^" is asked for the parent of "a", which may happen to begin the commit's checksum.
        let refused = ["Invalid refspec", "has no parent"];
        let accepted = !refused.iter().any(|words| message.contains(words));
        assert_eq!(Refspec::parse(name).is_ok(), accepted, "{name:?}: {message}");
    }
}

#[test]
fn refspecs_split_at_the_colon() {
    let refspec = Refspec::parse("origin:os/stable").unwrap();
    assert_eq!(refspec.remote.as_deref(), Some("origin"));
    assert_eq!((&*refspec.name, refspec.to_string().as_str()), ("os/stable", "origin:os/stable"));
    let local = Refspec::parse("os/stable").unwrap();
    assert_eq!((&local.remote, local.to_string().as_str()), (&None, "os/stable"));
    assert_eq!(local, Refspec::local(RefName::new("os/stable").unwrap()));
    assert_eq!(RefName::new("a:b").unwrap_err().to_string(), "Invalid ref name a:b");
    assert_eq!(Refspec::parse("a:b:c").unwrap_err().to_string(), "Invalid refspec a:b:c");
    assert!(Refspec::parse("").is_err());
    // PCRE lets a line break pass before the end, we do not.
    assert!(RefName::new("main\n").is_err());
}

#[test]
fn remotes_are_one_part() {
    assert!(["origin", "a.b", "x-1", "\u{e4}"].iter().all(|name| RemoteName::new(name).is_ok()));
    assert!(
        ["", "a/b", "a:b", "-a", ".a", "a b"].iter().all(|name| RemoteName::new(name).is_err())
    );
}

#[test]
fn collections_are_reverse_dns_names() {
    let long = format!("a.{}", "b".repeat(253));
    for good in ["org.example.Os", "a.b", "_a._b", "a1.b2_", long.as_str()] {
        assert!(CollectionId::new(good).is_ok(), "{good}");
    }
    let longer = format!("{long}b");
    for bad in
        ["", "a", ".a.b", "a.", "a..b", "a.1b", "a.b-c", "a.\u{e4}", "a b.c", longer.as_str()]
    {
        assert!(CollectionId::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn entries_are_ordered_by_bytes() {
    let name = |text| EntryName::new(text).unwrap();
    assert!(name("B") < name("a") && name("a") < name("ab") && name("z") < name("\u{e4}"));
    assert!(
        EntryName::new(&"\u{e4}".repeat(127)).is_ok()
            && EntryName::new(&"\u{e4}".repeat(128)).is_err()
    );
    assert!(EntryName::new("a\0").is_err() && EntryName::from_bytes(b"\xff").is_err());
    assert!(EntryName::new("...").is_ok() && EntryName::new(" ").is_ok());
}
