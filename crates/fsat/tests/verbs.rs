//! The verbs of the file system layer on a real file system.
#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use trefoil_fsat::{Dir, Fault, FaultKind, Fs, LockMode};

fn scratch(fs: &Fs) -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().expect("temporary directory");
    let dir = fs.open_dir(temp.path()).expect("just made");
    (temp, dir)
}

/// Guards: a link in the path, or `..`, cannot lead an open out of the held directory.
#[test]
fn opens_stay_beneath() {
    let (temp, dir) = scratch(&Fs::new());
    fs::create_dir_all(temp.path().join("a/b")).expect("mkdir");
    symlink("/etc", temp.path().join("a/out")).expect("symlink");
    assert!(dir.open_dir("a/b").is_ok());
    assert!(dir.open_dir("a/out").is_err());
    assert!(dir.open_dir("a/out/ssl").is_err());
    assert!(dir.open_dir("../..").is_err());
    assert!(dir.open_file("a/out/passwd").is_err());
    assert!(dir.read_beneath_opt("a/out/passwd", 1 << 20).is_err());
}

/// Guards: a link in the path does not lead what is made, renamed or removed out of the held
/// directory either.
#[test]
fn changes_stay_beneath() {
    let (temp, dir) = scratch(&Fs::new());
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    fs::create_dir_all(temp.path().join("a/b")).expect("mkdir");
    fs::create_dir(elsewhere.path().join("dir")).expect("mkdir");
    fs::write(elsewhere.path().join("file"), "theirs").expect("write");
    symlink(elsewhere.path(), temp.path().join("a/out")).expect("symlink");
    dir.write("own", b"own", 0o644).expect("write");
    let list = || fs::read_dir(elsewhere.path()).expect("list").count();
    assert!(dir.mkdir("a/out/new", 0o755).is_err());
    assert!(dir.ensure_dirs("a/out/new/deeper", 0o755).is_err());
    assert!(dir.create_file("a/out/new", 0o644).is_err());
    assert!(dir.symlink("target", "a/out/new").is_err());
    assert!(dir.link("own", &dir, "a/out/new").is_err());
    assert!(dir.rename("own", &dir, "a/out/new").is_err());
    assert!(dir.rename("a/out/file", &dir, "taken").is_err());
    assert!(dir.exchange("own", &dir, "a/out/file").is_err());
    assert!(dir.unlink("a/out/file").is_err());
    assert!(dir.rmdir("a/out/dir").is_err());
    assert!(dir.remove_all("a/out/dir").is_err());
    assert!(dir.unlink("../own").is_err());
    assert_eq!(list(), 2, "something changed elsewhere");
    dir.mkdir("a/b/new", 0o755).expect("no link on the way");
    dir.rename("own", &dir, "a/b/new/own").expect("no link on the way");
    dir.link("a/b/new/own", &dir, "a/b/linked").expect("no link on the way");
    dir.unlink("a/b/linked").expect("no link on the way");
    dir.remove_all("a/b").expect("no link on the way");
    assert!(dir.unlink("a/out").is_ok(), "a link itself can be removed");
}

/// Guards: files get their places in folders that are ours by one call each, and what is no
/// folder, or was never looked at, is not gone through.
#[test]
fn own_folders_are_no_links() {
    let account = Fs::new();
    let (temp, dir) = scratch(&account);
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    dir.set_mode(0o755).expect("chmod");
    dir.mkdir("aa", 0o755).expect("mkdir");
    symlink(elsewhere.path(), temp.path().join("bb")).expect("symlink");
    fs::write(temp.path().join("cc"), "a file").expect("write");
    for name in ["one", "two", "three"] {
        dir.write(name, name.as_bytes(), 0o644).expect("write");
    }
    let mut own = dir.own_folders().expect("list").expect("nobody else writes here");
    let before = account.counters();
    own.ensure("aa", 0o755).expect("it is there");
    own.rename_into(&dir, "one", "aa/file", false).expect("it is free");
    assert_eq!(account.counters().since(&before).total(), 1, "one call");
    let taken = own.rename_into(&dir, "two", "aa/file", false).expect_err("it is taken");
    assert!(taken.is_exists());
    own.rename_into(&dir, "two", "aa/file", true).expect("it is replaced");
    assert_eq!(dir.read("aa/file", 9).expect("read"), b"two");
    assert!(own.ensure("bb", 0o755).expect_err("a link").is_not_directory());
    assert!(own.ensure("cc", 0o755).expect_err("a file").is_not_directory());
    for to in ["bb/file", "dd/file", "file", "../file", "./file", "aa/b/file", "/file"] {
        own.rename_into(&dir, "three", to, true).expect_err(to);
    }
    own.ensure("dd", 0o755).expect("it is made");
    own.rename_into(&dir, "three", "dd/file", true).expect("it was made");
    assert_eq!(fs::read_dir(elsewhere.path()).expect("list").count(), 0);
}

/// Guards: where others may put a link in the place of a folder, no folder counts as ours.
#[test]
fn folders_others_may_change_are_not_ours() {
    let (_temp, dir) = scratch(&Fs::new());
    for (mode, ours) in [(0o755, true), (0o700, true), (0o775, false), (0o757, false)] {
        dir.set_mode(mode).expect("chmod");
        assert_eq!(dir.own_folders().expect("list").is_some(), ours, "{mode:o}");
    }
    dir.set_mode(0o755).expect("chmod");
    match dir.set_owner(12_345, 12_345) {
        Ok(()) => assert!(dir.own_folders().expect("list").is_none(), "another's"),
        Err(e) => assert!(e.is_permission(), "only root gives a directory away: {e}"),
    }
}

/// Guards: every counter counts what its name says, and bytes are bytes.
#[test]
fn work_is_counted() {
    let account = Fs::new();
    let (_temp, dir) = scratch(&account);
    let before = account.counters();
    dir.write("f", b"12345", 0o644).expect("write");
    dir.link("f", &dir, "g").expect("link");
    dir.sync_fs().expect("sync");
    let done = account.counters().since(&before);
    assert_eq!((done.creates, done.writes, done.bytes_written), (1, 1, 5));
    assert_eq!((done.renames, done.links, done.syncfs, done.fsyncs), (1, 1, 1, 0));
}

/// Guards: a planned failure strikes once, at the operation it was planned for; a planned
/// death leaves everything from there on undone.
#[test]
fn faults_strike_where_planned() {
    let run = |fs: &Fs| {
        let (temp, dir) = scratch(fs);
        let results = ["a", "b", "c"].map(|name| dir.mkdir(name, 0o755).map_err(|e| e.errno()));
        let made = fs::read_dir(temp.path()).expect("list").count();
        (results.map(|r| r.is_ok()), made)
    };
    let enospc = 28;
    let fail = Fault { at: 2, kind: FaultKind::Fail(enospc) };
    assert_eq!(run(&Fs::with_fault(fail)), ([true, false, true], 2));
    let die = Fault { at: 2, kind: FaultKind::Die };
    assert_eq!(run(&Fs::with_fault(die)), ([true, false, false], 1));
    let after = Fs::with_fault(Fault { at: 2, kind: FaultKind::DieAfter });
    assert_eq!(run(&after), ([true, false, false], 2));
    let (op, path) = after.struck().expect("it struck");
    assert_eq!((op.word(), path.file_name()), ("make directory", Some("b".as_ref())));
}

/// Guards: a signal in between makes no call fail, of whatever kind; a lock file that is made
/// counts among the changes.
#[test]
fn interrupted_calls_are_made_again() {
    let eintr = 4;
    for at in 1..=6 {
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Fail(eintr) });
        let (temp, dir) = scratch(&fs);
        dir.lock("lock", LockMode::Exclusive, Duration::ZERO).expect("lock").expect("free");
        dir.write_durable("f", b"content", 0o600).expect("write");
        assert_eq!(fs::read(temp.path().join("f")).expect("read"), b"content");
        assert!(fs.fault_struck(), "{at}");
    }
}

/// Guards: a reader of a replaced file sees the old or the new content, and an interrupted
/// replacement is overwritten by the next.
#[test]
fn write_replaces_in_one_step() {
    let (temp, dir) = scratch(&Fs::new());
    fs::write(temp.path().join(".f.tmp"), "left over").expect("write");
    dir.write_durable("f", b"one", 0o600).expect("write");
    let first = fs::metadata(temp.path().join("f")).expect("stat");
    dir.write_durable("f", b"two", 0o600).expect("write");
    let second = fs::metadata(temp.path().join("f")).expect("stat");
    assert_ne!(first.ino(), second.ino(), "the file was written in place");
    assert_eq!(dir.read("f", 10).expect("read"), b"two");
    assert!(!temp.path().join(".f.tmp").exists());
}

/// Guards: a replacement that fails takes its temporary file away, and what a dead one left can
/// be removed by name.
#[test]
fn a_failed_write_leaves_nothing() {
    for (kind, stays) in [(FaultKind::Fail(28), false), (FaultKind::Die, true)] {
        let fs = Fs::with_fault(Fault { at: 3, kind });
        let (temp, dir) = scratch(&fs);
        dir.write("f", b"content", 0o600).expect_err("the write fails");
        let left = fs::read_dir(temp.path()).expect("list").count();
        assert_eq!(left, usize::from(stays), "{kind:?}");
        let dir = Fs::new().open_dir(temp.path()).expect("just made");
        assert_eq!(dir.unlink_unfinished("f").expect("remove"), stays);
        assert_eq!(fs::read_dir(temp.path()).expect("list").count(), 0);
    }
}

/// Guards: content beyond the limit is an error, never an allocation without end.
#[test]
fn reads_are_limited() {
    let (temp, dir) = scratch(&Fs::new());
    fs::write(temp.path().join("f"), vec![7; 100_000]).expect("write");
    assert_eq!(dir.read("f", 100_000).expect("read").len(), 100_000);
    let error = dir.read("f", 99_999).expect_err("too large");
    assert_eq!(error.source.kind(), ErrorKind::Other);
    assert!(error.source.to_string().contains("99999"));
    assert_eq!(dir.read_opt("missing", 1).expect("missing is fine"), None);
}

/// Guards: removal goes through directories that forbid it to their owner, follows no link,
/// and counts what it took.
#[test]
fn removal_follows_no_link() {
    let (temp, dir) = scratch(&Fs::new());
    fs::create_dir_all(temp.path().join("keep")).expect("mkdir");
    fs::write(temp.path().join("keep/file"), "x").expect("write");
    fs::create_dir_all(temp.path().join("gone/deep")).expect("mkdir");
    fs::write(temp.path().join("gone/deep/f"), "x").expect("write");
    symlink("../keep", temp.path().join("gone/link")).expect("symlink");
    let deep = dir.open_dir("gone/deep").expect("open");
    deep.set_mode(0o555).expect("chmod");
    let removed = dir.remove_all("gone").expect("remove");
    assert_eq!((removed.dirs, removed.files), (2, 2));
    assert!(temp.path().join("keep/file").exists());
    assert_eq!(dir.remove_all("gone").expect("nothing there").dirs, 0);
}

/// Guards: a listing is whole however often it is asked for, beyond one kernel buffer.
#[test]
fn entries_are_whole_and_repeatable() {
    let (temp, dir) = scratch(&Fs::new());
    for n in 0..2_000 {
        fs::write(temp.path().join(format!("a-rather-long-file-name-{n}")), "").expect("write");
    }
    assert_eq!(dir.entries().expect("list").len(), 2_000);
    assert_eq!(dir.sorted_entries().expect("list").len(), 2_000);
    assert_eq!(dir.try_clone().expect("clone").entries().expect("list").len(), 2_000);
}

/// Guards: a listing that ends with one call has no fewer names.
#[test]
fn entries_are_those_that_others_see() {
    for count in [0, 1, 2, 40, 400, 900] {
        let account = Fs::new();
        let (temp, dir) = scratch(&account);
        for n in 0..count {
            fs::write(temp.path().join(format!("{n:04}-{}", "x".repeat(n % 90))), "")
                .expect("a file");
        }
        let mut seen: Vec<_> = fs::read_dir(temp.path())
            .expect("list")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        seen.sort_unstable();
        let before = account.counters();
        let ours = dir.sorted_entries().expect("list");
        let calls = account.counters().since(&before).readdirs;
        assert_eq!(ours.into_iter().map(|e| e.name).collect::<Vec<_>>(), seen);
        let bytes: usize = seen.iter().map(|name| name.len() + 32).sum();
        assert!(calls as usize <= bytes / (16 << 10) + 2, "{calls} calls for {bytes} bytes");
    }
}

/// Guards: shared excludes exclusive and the other way round, between handles of one process
/// too, and waiting ends.
#[test]
fn locks_exclude() {
    let (_temp, dir) = scratch(&Fs::new());
    let zero = Duration::ZERO;
    let shared = dir.lock("l", LockMode::Shared, zero).expect("lock").expect("free");
    assert!(dir.lock("l", LockMode::Shared, zero).expect("lock").is_some());
    let short = Duration::from_millis(20);
    assert!(dir.lock("l", LockMode::Exclusive, short).expect("lock").is_none());
    drop(shared);
    assert!(dir.lock("l", LockMode::Exclusive, zero).expect("lock").is_some());
}

/// Guards: attributes of directories, files and links come back as set, large values too.
#[test]
fn attributes_come_back() {
    let (temp, dir) = scratch(&Fs::new());
    fs::write(temp.path().join("f"), "x").expect("write");
    let file = dir.open_file("f").expect("open");
    let large = vec![b'v'; 3_000];
    file.set_xattr(b"user.large", &large).expect("set");
    file.set_xattr(b"user.empty", b"").expect("set");
    let mut found = dir.xattrs_of("f").expect("get");
    found.retain(|(name, _)| name.starts_with(b"user."));
    found.sort();
    assert_eq!(found, [(b"user.empty".to_vec(), vec![]), (b"user.large".to_vec(), large)]);
    assert_eq!(file.xattr("user.none").expect("get"), None);
    dir.set_xattr(b"user.d", b"1").expect("set");
    assert!(dir.xattrs().expect("get").contains(&(b"user.d".to_vec(), b"1".to_vec())));
}

/// Guards: a copy has the content whichever way the kernel made it.
#[test]
fn copies_hold_the_content() {
    let (temp, dir) = scratch(&Fs::new());
    let content: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    fs::write(temp.path().join("from"), &content).expect("write");
    let to = dir.create_file("to", 0o644).expect("create");
    to.copy_from(&dir.open_file("from").expect("open")).expect("copy");
    assert_eq!(fs::read(temp.path().join("to")).expect("read"), content);
}
