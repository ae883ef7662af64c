//! `export` beside `ostree export`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_repo::commit::CommitModifier;
use trefoil_repo::export::{ExportOptions, export_tree, pad_to_record};
use trefoil_repo::{RepoError, RepoMode, TreeEntry, TreeId};

use crate::bench::{Bench, TIME, have_ostree, modes, ostree};
use crate::sample::{mkdir, sample, set_xattr, write};

fn exported(bench: &Bench, tree: TreeId, prefix: &str, no_xattrs: bool) -> Vec<u8> {
    let options = ExportOptions { timestamp: TIME, prefix: prefix.to_string(), no_xattrs };
    let mut out = Vec::new();
    let stats = export_tree(&bench.ours(), tree, &options, &mut out).unwrap();
    assert_eq!(stats.bytes, out.len() as u64);
    pad_to_record(&stats, &mut out).unwrap();
    out
}

/// Guards that a tree without equal files and attributes is exported byte for byte as by
/// libostree 2022.7, whose export of equal files varies.
#[test]
fn exports_are_libostrees_to_the_byte() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let tree = bench.path("tree");
    let deep = format!("{}/{}", "d".repeat(90), "e".repeat(90));
    mkdir(&tree, &deep, 0o755);
    mkdir(&tree, "b/empty", 0o1777);
    write(&tree, &format!("{deep}/f"), b"1", 0o4755);
    write(&tree, "b/ü", &[7; 70_000], 0o600);
    write(&tree, "a", b"", 0o644);
    symlink("x".repeat(101), tree.join("link")).unwrap();
    symlink("y".repeat(100), tree.join("b/link")).unwrap();
    let ours = bench.same(&["tree"], &[], &CommitModifier::default());
    let sub = match bench.ours().lookup(ours.tree, "/b").unwrap() {
        TreeEntry::Dir(id) => id,
        TreeEntry::File(_) => panic!("b is a directory"),
    };
    for (tree, subpath) in [(ours.tree, "/"), (sub, "b")] {
        for prefix in ["", "p/", "some/prefix"] {
            let output = Command::new("ostree")
                .arg(format!("--repo={}", bench.path("theirs").display()))
                .args(["export", "main", "--no-xattrs"])
                .args([format!("--subpath={subpath}"), format!("--prefix={prefix}")])
                .output()
                .unwrap();
            assert!(output.status.success());
            let same = exported(&bench, tree, prefix, true) == output.stdout;
            assert!(same, "subpath {subpath}, prefix {prefix}");
        }
    }
}

/// Guards that an export comes back as the same tree: in our hands, in those of libostree, and
/// through GNU tar; with links between equal files, and attributes.
#[test]
fn exports_come_back() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        // More than one attribute would come back in another order to libostree 2022.7.
        let large = bench.path("tree/large");
        fs::remove_file(&large).unwrap();
        fs::remove_file(bench.path("tree/usr/large-link")).unwrap();
        write(&bench.path("tree"), "large", b"r", 0o444);
        set_xattr(&bench.path("tree"), "large", "user.one", b"line\nline");
        let first = bench.same(&["tree"], &[], &CommitModifier::default());
        let archive = exported(&bench, first.tree, "", false);
        fs::write(bench.path("a"), &archive).unwrap();
        let again = bench.same(&["tar=a"], &[], &CommitModifier::default());
        assert_eq!(again.tree, first.tree);
        fs::create_dir(bench.path("out")).unwrap();
        let unpacked = Command::new("tar")
            .args(["-xpf", "../a", "--xattrs", "--xattrs-include=*", "--same-owner"])
            .current_dir(bench.path("out"))
            .status()
            .unwrap();
        assert!(unpacked.success());
        let through = bench.same(&["out"], &[], &CommitModifier::default());
        if mode != RepoMode::BareUserOnly {
            assert_eq!(through.tree, first.tree, "{mode}");
        }
    }
}

/// Guards that equal files are linked to the first, and that a damaged object is an error.
#[test]
fn exports_link_and_verify() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let tree = bench.path("tree");
    mkdir(&tree, "d", 0o755);
    for name in ["a", "d/b", "d/c"] {
        write(&tree, name, b"same", 0o644);
    }
    let ours = bench.same(&["tree"], &[], &CommitModifier::default());
    fs::write(bench.path("a.tar"), exported(&bench, ours.tree, "p/", true)).unwrap();
    let listed = Command::new("tar").arg("-tvf").arg(bench.path("a.tar")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("p/d/b link to p/a") && listed.contains("p/d/c link to p/a"),
        "{listed}"
    );
    let TreeEntry::File(checksum) = bench.ours().lookup(ours.tree, "a").unwrap() else {
        panic!("a is a file")
    };
    let hex = ObjectName::new(checksum, ObjectType::File).to_string();
    let path = format!("objects/{}/{}", &hex[..2], &hex[2..]);
    fs::write(bench.path("ours").join(path), b"tame").unwrap();
    let mut out = Vec::new();
    let error = export_tree(&bench.ours(), ours.tree, &ExportOptions::default(), &mut out);
    assert!(matches!(error, Err(RepoError::ChecksumMismatch { .. })), "{error:?}");
    ostree(&bench.path("theirs"), &["fsck", "-q"]);
}
