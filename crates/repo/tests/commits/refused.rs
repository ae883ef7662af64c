use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use trefoil_repo::RepoMode;
use trefoil_repo::commit::CommitModifier;

use crate::bench::{Bench, have_ostree};
use crate::sample::mkdir;

/// What cannot be in a commit is refused with its path, and nothing is committed.
#[test]
fn impossible_entries_are_refused_by_path() {
    use std::os::unix::ffi::OsStrExt;
    let bench = match have_ostree() {
        true => Bench::new(RepoMode::BareUser),
        false => return,
    };
    let refused = |prepare: &dyn Fn(&Path)| {
        let tree = bench.path("tree");
        mkdir(&tree, "sub", 0o755);
        prepare(&tree.join("sub"));
        let error = bench.commit(&["tree"], &CommitModifier::default()).unwrap_err().to_string();
        fs::remove_dir_all(tree).unwrap();
        assert!(bench.ours().resolve_rev_opt("main").unwrap().is_none());
        error
    };
    let socket = refused(&|sub| {
        std::os::unix::net::UnixListener::bind(sub.join("socket")).unwrap();
    });
    assert_eq!(socket, "Not a regular file or symlink: /sub/socket is a socket");
    let name = refused(&|sub| {
        fs::write(sub.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
    });
    assert!(name.starts_with("Invalid UTF-8 in filename /sub/"), "{name}");
    let target = refused(&|sub| {
        symlink(std::ffi::OsStr::from_bytes(b"\xff"), sub.join("link")).unwrap();
    });
    assert_eq!(target, "Invalid UTF-8 in the target of symbolic link /sub/link");
    let deep = refused(&|sub| {
        fs::create_dir_all(sub.join("d/".repeat(300))).unwrap();
    });
    assert_eq!(deep, "directories are nested deeper than 256");
}

/// The deepest tree that is allowed does not overflow the stack of a worker thread.
#[test]
fn deep_trees_are_committed() {
    let bench = match have_ostree() {
        true => Bench::new(RepoMode::Archive),
        false => return,
    };
    mkdir(&bench.path("tree"), "", 0o755);
    fs::create_dir_all(bench.path("tree").join("d/".repeat(256))).unwrap();
    bench.same(&["tree"], &[], &CommitModifier::default());
}
