//! The cases that libostree's own script names, and the odd ones of its source: each is merged
//! by the real `ostree` and by us.

use std::path::{Path, PathBuf};

use trefoil_sysroot::etc::{
    ClashKind, ConflictKind, EtcError, MergePlan, PlanOptions, Sides, Sources, apply_fresh, diff,
    plan,
};

use crate::oracle::{Sysroot, have_ostree_and_root};
use crate::tree::{Op, dir, picture};

fn file(path: &str, content: u8) -> Op {
    Op::File(path.into(), content, 0o644)
}

fn remove(path: &str) -> Op {
    Op::Remove(path.into())
}

/// What one merge did, on the side of libostree and on ours.
struct Outcome {
    plan: MergePlan,
    theirs: Result<PathBuf, String>,
    _sysroot: Sysroot,
}

/// Merges `local` changes of the defaults `first` into the defaults after `defaults`, and
/// compares both results.
fn merge(first: &[Op], local: &[Op], defaults: &[Op]) -> Option<Outcome> {
    if !have_ostree_and_root() {
        return None;
    }
    let mut sysroot = Sysroot::new();
    let old = sysroot.commit(first);
    let merge = sysroot.deploy(&old).unwrap();
    local.iter().for_each(|op| op.apply(&merge.etc()));
    let new = sysroot.commit(defaults);

    let local = dir(&merge.etc());
    let changes = diff(&dir(&merge.usr_etc()), &local, None).unwrap();
    let repo = sysroot.repo();
    let (old_etc, new_etc) = (sysroot.etc_of(&old), sysroot.etc_of(&new));
    let sides = Sides::Trees { repo: &repo, old: old_etc, new: new_etc };
    let plan = plan(sides, Some((&local, &changes)), PlanOptions::default()).unwrap();
    let theirs = sysroot.deploy(&new).map(|deployed| deployed.path);
    let ours = sysroot.scratch("ours");
    match &theirs {
        Ok(deployed) => {
            let usr_etc = dir(&deployed.join("usr/etc"));
            let sources = Sources {
                new_defaults: &usr_etc,
                local: Some(&local),
                objects: Some((&repo, new_etc)),
                commit: new.parse().unwrap(),
            };
            apply_fresh(&plan, sources, &dir(&ours)).unwrap();
            assert_eq!(picture(&ours.join("etc")), picture(&deployed.join("etc")));
        }
        Err(words) => {
            assert!(!plan.clashes.is_empty(), "libostree: {words}");
            let usr_etc = dir(&merge.usr_etc());
            let commit = new.parse().unwrap();
            let sources =
                Sources { new_defaults: &usr_etc, local: Some(&local), objects: None, commit };
            let refused = apply_fresh(&plan, sources, &dir(&ours)).unwrap_err();
            assert!(matches!(refused, EtcError::Clash(_)), "{refused}");
            assert!(!ours.join("etc").exists(), "refused before anything is written");
        }
    }
    Some(Outcome { plan, theirs, _sysroot: sysroot })
}

fn conflicts(plan: &MergePlan) -> Vec<(&Path, ConflictKind, bool)> {
    plan.conflicts.iter().map(|c| (c.path.as_path(), c.kind, c.identical)).collect()
}

/// Modified file, chain of directories with modes of their own, dangling link, pipe, removed
/// directory: the first part of libostree's script.
#[test]
fn chain_of_directories_link_and_pipe() {
    let modes = [("a", 0o700), ("a/long", 0o770), ("a/long/dir", 0o777)];
    let mut local: Vec<Op> = modes.map(|(p, m)| Op::Dir(p.into(), m)).into();
    local.extend([
        file("net/nm.conf", 3),
        Op::Dir("a/long/dir/chain".into(), 0o707),
        Op::Dir("a/long/dir/forking".into(), 0o700),
        Op::Link("a/link".into(), "no-such-file".into()),
        Op::Fifo("fifo".into()),
        remove("testdirectory"),
    ]);
    let first = [file("net/nm.conf", 1), file("testdirectory/x", 1)];
    let Some(done) = merge(&first, &local, &[file("other", 1)]) else { return };
    assert!(done.theirs.is_ok());
    assert_eq!(conflicts(&done.plan), []);
    let skipped: Vec<String> = done.plan.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(skipped, ["fifo: fifo not carried over"]);
}

/// Files appear in a directory that was empty; the parent of a changed file goes away.
#[test]
fn parent_of_a_local_file_is_no_longer_a_default() {
    let first = [file("was/x", 1), file("keep", 1)];
    let Some(done) = merge(&first, &[file("was/new", 2)], &[remove("was")]) else { return };
    let etc = done.theirs.unwrap().join("etc");
    assert!(etc.join("was/new").exists() && !etc.join("was/x").exists());
}

/// A local file where the new defaults have a directory: an error in libostree's words, known
/// before anything is written.
#[test]
fn local_file_newly_defaults_to_directory() {
    let first = [file("keep", 1)];
    let Some(done) = merge(&first, &[file("new", 1)], &[file("new/x", 1)]) else { return };
    let words = done.theirs.unwrap_err();
    assert_eq!(done.plan.clashes[0].kind, ClashKind::DefaultsToDirectory);
    let ours = EtcError::Clash(done.plan.clashes[0].clone()).to_string();
    let theirs = words.trim().trim_start_matches("error: ");
    assert!(ours.starts_with(theirs), "{ours:?} begins as {theirs:?}");
}

/// A directory with local changes below it became a file: libostree fails on the way.
#[test]
fn parent_of_a_local_change_became_a_file() {
    for local in [file("d/x", 2), remove("d/x"), file("d/new", 2)] {
        let Some(done) = merge(&[file("d/x", 1)], &[local], &[file("d", 1)]) else { return };
        assert!(done.theirs.is_err());
        assert_eq!(done.plan.clashes[0].kind, ClashKind::ParentIsFile);
    }
}

/// The directory became a link within etc: the change goes where it leads.
#[test]
fn parent_of_a_local_change_became_a_link() {
    let first = [file("d/x", 1), Op::Dir("e".into(), 0o755)];
    let link = Op::Link("d".into(), "e".into());
    let Some(done) = merge(&first, &[file("d/x", 2)], &[link]) else { return };
    let etc = done.theirs.unwrap().join("etc");
    assert!(etc.join("e/x").exists());
    assert!(done.plan.conflicts.iter().any(|c| c.kind == ConflictKind::ThroughLink));
}

/// A link leads to a directory that has local changes of its own: it takes the attributes of
/// both, as libostree sets one after the other and takes none away.
#[test]
fn a_link_leads_to_a_directory_changed_locally() {
    let first = [file("d/x", 1), file("e/y", 1)];
    let local = [Op::Xattr("e".into(), 1), file("e/y", 2), file("d/new", 2)];
    let link = Op::Link("d".into(), "e".into());
    let Some(done) = merge(&first, &local, &[link]) else { return };
    let etc = dir(&done.theirs.unwrap().join("etc/e"));
    assert_eq!(etc.xattrs().unwrap(), [(b"user.t".to_vec(), b"1".to_vec())]);
}

/// Every way in which both sides can change a path is named, with what becomes of it.
#[test]
fn both_sides_changed() {
    let first = ["mod", "same", "gone", "del", "deldir/x", "mode/x"].map(|p| file(p, 1));
    let local = [
        file("mod", 2),
        file("same", 2),
        file("gone", 2),
        remove("del"),
        remove("deldir"),
        file("add", 2),
        file("addsame", 2),
        Op::Chmod("mode".into(), 0o700),
    ];
    let defaults = [
        file("mod", 3),
        file("same", 2),
        remove("gone"),
        file("del", 3),
        file("deldir/y", 3),
        file("add", 3),
        file("addsame", 2),
    ];
    let Some(done) = merge(&first, &local, &defaults) else { return };
    let expected = [
        ("add", ConflictKind::BothAdded, false),
        ("addsame", ConflictKind::BothAdded, true),
        ("del", ConflictKind::LocalRemoved, false),
        ("deldir", ConflictKind::LocalRemoved, false),
        ("gone", ConflictKind::DefaultRemoved, false),
        ("mod", ConflictKind::BothModified, false),
        ("mode", ConflictKind::DirectoryReset, false),
        ("same", ConflictKind::BothModified, true),
    ]
    .map(|(path, kind, identical)| (Path::new(path), kind, identical));
    assert_eq!(conflicts(&done.plan), expected);
    let json = serde_json::to_value(&done.plan).unwrap();
    assert_eq!(json["conflicts"][0]["kind"], "both-added");
    assert_eq!(json["conflicts"][0]["path"], "add");
}

/// A local directory stands where a file was, and the new defaults have a directory too: what
/// is in the local one is lost, as with libostree, but said.
#[test]
fn local_directory_is_dropped_for_a_default_one() {
    let Some(done) = merge(&[file("f", 1)], &[file("f/mine", 1)], &[file("f/theirs", 1)]) else {
        return;
    };
    assert!(!done.theirs.unwrap().join("etc/f/mine").exists());
    let expected = [(Path::new("f"), ConflictKind::DirectoryDropped, false)];
    assert_eq!(conflicts(&done.plan), expected);
}

/// A file replaced by a directory keeps all that is in it, whatever the default file does.
#[test]
fn local_directory_replaces_a_default_file() {
    let local = [file("f/deep/mine", 1), Op::Link("f/link".into(), "x".into())];
    let Some(done) = merge(&[file("f", 1)], &local, &[file("f", 2)]) else { return };
    assert!(done.theirs.unwrap().join("etc/f/deep/mine").exists());
}

/// The stamp file never comes along, neither as a default nor as a local file.
#[test]
fn update_stamp_is_left_out() {
    let Some(done) = merge(&[file(".updated", 1)], &[file(".updated", 2)], &[file("x", 1)]) else {
        return;
    };
    assert!(!done.theirs.unwrap().join("etc/.updated").exists());
}

/// Names and link targets need not be text.
#[test]
fn names_that_are_not_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    if !have_ostree_and_root() {
        return;
    }
    let mut sysroot = Sysroot::new();
    let first = sysroot.commit(&[file("a", 1)]);
    let merge = sysroot.deploy(&first).unwrap();
    let odd = OsStr::from_bytes(b"n\xffame");
    std::fs::write(merge.etc().join(odd), "x").unwrap();
    std::os::unix::fs::symlink(
        OsStr::from_bytes(b"t\xfe"),
        merge.etc().join(OsStr::from_bytes(b"\xff")),
    )
    .unwrap();
    let local = dir(&merge.etc());
    let usr_etc = dir(&merge.usr_etc());
    let changes = diff(&usr_etc, &local, None).unwrap();
    let sides = Sides::Disk { old: &usr_etc, new: &usr_etc };
    let plan = plan(sides, Some((&local, &changes)), PlanOptions::default()).unwrap();
    serde_json::to_string(&plan).unwrap();
    let second = sysroot.commit(&[]);
    let theirs = sysroot.deploy(&second).unwrap();
    let ours = sysroot.scratch("ours");
    let commit = second.parse().unwrap();
    let sources = Sources { new_defaults: &usr_etc, local: Some(&local), objects: None, commit };
    apply_fresh(&plan, sources, &dir(&ours)).unwrap();
    assert_eq!(picture(&ours.join("etc")), picture(&theirs.etc()));
    assert!(ours.join("etc").join(odd).exists());
}
