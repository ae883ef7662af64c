//! Commits with an index beside full ones, over the same trees.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use trefoil_format::gvariant::Metadata;
use trefoil_fsat::{Fs, Timestamp};
use trefoil_repo::commit::{
    CommitIndex, CommitModifier, CommitRequest, Indexed, SkipList, StatOverrides, write_commit,
};
use trefoil_repo::{Repo, RepoMode, Result, TreeId};

use crate::bench::{Bench, have_ostree, is_root, ostree};
use crate::sample::{sample, set_xattr};

/// Long after every file of a test was made: all of them are settled.
fn later() -> Timestamp {
    Timestamp { sec: now().sec + 1000, nsec: 0 }
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp { sec: since.as_secs() as i64, nsec: since.subsec_nanos() }
}

/// Imports with an index, commits, points the ref at it and keeps the index.
fn indexed(
    repo: &Repo,
    source: &Path,
    modifier: &CommitModifier,
    now: Timestamp,
) -> Result<Indexed> {
    let transaction = repo.begin()?;
    let dir = Fs::new().open_dir(source)?;
    let index = CommitIndex::open(repo, &dir, modifier, now)?;
    let indexed = index.import(&transaction, &dir, modifier)?;
    transaction.commit()?;
    Ok(indexed)
}

#[track_caller]
pub fn tree_of(repo: &Repo, source: &Path, now: Timestamp) -> (TreeId, u64) {
    let modifier = CommitModifier::default();
    let indexed = indexed(repo, source, &modifier, now).unwrap();
    let read = indexed.stats.files + indexed.stats.symlinks;
    let tree = indexed.tree;
    indexed.save(repo).unwrap();
    (tree, read)
}

/// Guards: the checksum is that of a full import in every mode, and nothing that is as it was
/// is read again.
#[test]
fn a_second_commit_reads_what_changed() {
    if !have_ostree() {
        return;
    }
    for mode in crate::bench::modes() {
        let bench = Bench::new(mode);
        let source = bench.path("tree");
        if mode == RepoMode::BareUserOnly {
            fs::create_dir_all(source.join("usr/bin")).unwrap();
            fs::write(source.join("usr/bin/tool"), "t").unwrap();
            fs::write(source.join("secret"), "s").unwrap();
        } else {
            sample(&source);
        }
        let repo = bench.ours();
        let (first, read) = tree_of(&repo, &source, later());
        assert!(read > 1);
        assert_eq!(tree_of(&repo, &source, later()), (first, 0), "{mode}");
        fs::write(source.join("secret"), b"x").unwrap();
        fs::write(source.join("usr/new"), b"y").unwrap();
        let (second, read) = tree_of(&repo, &source, later());
        assert_eq!(read, 2, "{mode}");
        assert_ne!(first, second);
        let full = bench.same(&["tree"], &[], &CommitModifier::default());
        assert_eq!(second, full.tree, "{mode}");
    }
}

/// Guards: a file that was written within the clock's tick of the commit is read again, even
/// where size and times are what they were.
#[test]
fn files_that_may_still_change_are_read_again() {
    let root = tempfile::tempdir().unwrap();
    let repo = Repo::create(open(root.path(), "repo"), RepoMode::Archive, None).unwrap();
    let source = root.path().join("tree");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("racy"), "1").unwrap();
    let ctime = fs::metadata(source.join("racy")).unwrap().ctime();
    for (ahead, again) in [(0, 1), (1, 1), (2, 1), (3, 0), (-3600, 1)] {
        let at = Timestamp { sec: ctime + ahead, nsec: 0 };
        tree_of(&repo, &source, at);
        let (_, read) = tree_of(&repo, &source, at);
        assert_eq!(read, again, "{ahead} seconds after the file was written");
        fs::remove_dir_all(root.path().join("repo/trefoil/index")).unwrap();
    }
}

/// Guards: an index that is cut, flipped or of another version is ignored with a reason, and
/// the checksum is right all the same.
#[test]
fn a_damaged_index_is_not_believed() {
    let root = tempfile::tempdir().unwrap();
    let repo = Repo::create(open(root.path(), "repo"), RepoMode::Archive, None).unwrap();
    let source = root.path().join("tree");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("sub/file"), "1").unwrap();
    let (tree, _) = tree_of(&repo, &source, later());
    let dir = root.path().join("repo/trefoil/index");
    let file = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();
    let modifier = CommitModifier::default();
    let opened = || {
        let source = Fs::new().open_dir(&source).unwrap();
        CommitIndex::open(&repo, &source, &modifier, later()).unwrap()
    };
    assert!(opened().is_usable());
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(opened().ignored().is_some(), "flip at {at}");
        fs::write(&file, &whole[..at]).unwrap();
        assert!(opened().ignored().is_some(), "cut at {at}");
    }
    assert_eq!(tree_of(&repo, &source, later()).0, tree);
    assert!(opened().is_usable(), "it was written anew");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(opened().ignored().is_some(), "a directory has its place");
    fs::remove_dir(&file).unwrap();
    symlink("/dev/zero", &file).unwrap();
    assert!(opened().ignored().is_some(), "a link has its place");
    assert_eq!(tree_of(&repo, &source, later()).0, tree);
    assert!(opened().is_usable(), "it was written anew");
}

/// Guards: a file on a read-only mount is read again though nothing about it changed. Another
/// image that was made with the same times may have come into the place of the one before.
#[test]
fn read_only_mounts_are_read_again() {
    if !is_root() {
        eprintln!("only root can mount");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let repo = Repo::create(open(root.path(), "repo"), RepoMode::Archive, None).unwrap();
    for dir in ["tree/image", "image"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    let (source, image) = (root.path().join("tree"), root.path().join("image"));
    fs::write(source.join("file"), "1").unwrap();
    fs::write(image.join("file"), "2").unwrap();
    let (target, image) = (source.join("image"), image.as_path());
    let mount = |words: &[&str], paths: &[&Path]| {
        let status = std::process::Command::new(words[0]).args(&words[1..]).args(paths).status();
        status.unwrap().success()
    };
    if !mount(&["mount", "-t", "tmpfs", "none"], &[&target]) {
        eprintln!("mounting is not allowed here");
        return;
    }
    fs::copy(image.join("file"), target.join("file")).unwrap();
    let remounted = mount(&["mount", "-o", "remount,ro"], &[&target]);
    let first = tree_of(&repo, &source, later());
    let second = tree_of(&repo, &source, later());
    assert!(mount(&["umount"], &[&target]));
    assert!(remounted);
    assert_eq!((first.0, first.1), (second.0, 2));
    assert_eq!(second.1, 1, "the file on the mount, and no other");
}

/// Guards: what a parent repository has is looked for, since nobody keeps it from being pruned
/// there: the commit would be made without.
#[test]
fn objects_that_a_parent_lost_are_written_again() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("tree");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "1").unwrap();
    let parent = Repo::create(open(root.path(), "parent"), RepoMode::Archive, None).unwrap();
    let (tree, _) = tree_of(&parent, &source, later());
    let path = root.path().join("child");
    Repo::create(open(root.path(), "child"), RepoMode::Archive, None).unwrap();
    let config = fs::read_to_string(path.join("config")).unwrap();
    let line = format!("{config}parent={}\n", root.path().join("parent").display());
    fs::write(path.join("config"), line).unwrap();
    let child = Repo::open(open(root.path(), "child")).unwrap();
    assert!(child.parent().is_some());
    let commit_to = |repo: &Repo| {
        let transaction = repo.begin().unwrap();
        let dir = Fs::new().open_dir(&source).unwrap();
        let modifier = CommitModifier::default();
        let index = CommitIndex::open(repo, &dir, &modifier, later()).unwrap();
        let indexed = index.import(&transaction, &dir, &modifier).unwrap();
        let request = CommitRequest {
            tree: indexed.tree,
            parent: None,
            subject: String::new(),
            body: String::new(),
            metadata: Metadata::default(),
            detached: None,
            timestamp: 0,
        };
        let checksum = write_commit(&transaction, request).unwrap();
        transaction.set_ref("branch".parse().unwrap(), Some(checksum));
        transaction.commit().unwrap();
        let (tree, stats) = (indexed.tree, indexed.stats);
        indexed.save(repo).unwrap();
        (tree, stats.index_hits)
    };
    assert_eq!(commit_to(&child), (tree, 0));
    assert_eq!(commit_to(&child), (tree, 1));
    fs::remove_dir_all(root.path().join("parent/objects")).unwrap();
    fs::create_dir(root.path().join("parent/objects")).unwrap();
    assert_eq!(commit_to(&child), (tree, 0), "it is read and written again");
    assert_eq!(commit_to(&child), (tree, 1));
}

/// Guards: what an index names is looked for where no ref says that it is complete.
#[test]
fn objects_that_were_pruned_are_written_again() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    let source = bench.path("tree");
    sample(&source);
    let (tree, _) = tree_of(&bench.ours(), &source, later());
    let objects = bench.path("ours/objects");
    for prefix in fs::read_dir(&objects).unwrap().flatten() {
        for object in fs::read_dir(prefix.path()).unwrap().flatten() {
            fs::remove_file(object.path()).unwrap();
        }
    }
    let (again, read) = tree_of(&bench.ours(), &source, later());
    assert_eq!(again, tree);
    assert!(read > 10);
    bench.same(&["tree"], &[], &CommitModifier::default());
}

/// Guards: options that make other objects have an index of their own; lists of paths are
/// asked for every path also where nothing is read.
#[test]
fn options_are_part_of_the_key() {
    let root = tempfile::tempdir().unwrap();
    let repo = Repo::create(open(root.path(), "repo"), RepoMode::Archive, None).unwrap();
    let source = root.path().join("tree");
    fs::create_dir_all(source.join("sub/deep")).unwrap();
    for name in ["sub/file", "sub/deep/other", "top"] {
        fs::write(source.join(name), name).unwrap();
    }
    let make: [fn() -> CommitModifier; 4] = [
        CommitModifier::default,
        || CommitModifier { owner_uid: Some(7), ..Default::default() },
        || CommitModifier { skip_list: SkipList::parse("/sub/deep\n/top\n"), ..Default::default() },
        || CommitModifier {
            stat_overrides: StatOverrides::parse("2048 /sub/file\n=493 /top\n").unwrap(),
            ..Default::default()
        },
    ];
    let mut trees = Vec::new();
    for round in 0..3 {
        for (at, make) in make.iter().enumerate() {
            let modifier = make();
            let done = indexed(&repo, &source, &modifier, later()).unwrap();
            assert!(modifier.unmatched_skips().is_empty(), "round {round}, options {at}");
            assert!(modifier.unmatched_overrides().is_empty(), "round {round}, options {at}");
            trees.push(done.tree);
            assert_eq!(round > 0, done.stats.index_hits > 0, "round {round}, options {at}");
            done.save(&repo).unwrap();
        }
    }
    assert_eq!(trees[..4], trees[4..8]);
    assert_eq!(trees[..4], trees[8..]);
    assert_eq!(trees[..4].iter().collect::<std::collections::HashSet<_>>().len(), 4);
}

fn open(root: &Path, name: &str) -> trefoil_fsat::Dir {
    fs::create_dir_all(root.join(name)).unwrap();
    Fs::new().open_dir(root.join(name)).unwrap()
}

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, u8),
    SameSize(usize, u8),
    Chmod(usize, u32),
    Xattr(usize, u8),
    TimeBack(usize),
    RenameOver(usize, usize),
    MoveDir(usize, usize),
    Remove(usize),
    HardLink(usize, usize),
    Retarget(usize, u8),
    MakeDir(usize),
    Chown(usize, u32),
}

fn edit() -> impl Strategy<Value = Edit> {
    let n = 0usize..1000;
    prop_oneof![
        (n.clone(), any::<u8>()).prop_map(|(a, b)| Edit::Write(a, b)),
        (n.clone(), any::<u8>()).prop_map(|(a, b)| Edit::SameSize(a, b)),
        (n.clone(), 0o400u32..0o1000).prop_map(|(a, m)| Edit::Chmod(a, m)),
        (n.clone(), any::<u8>()).prop_map(|(a, b)| Edit::Xattr(a, b)),
        n.clone().prop_map(Edit::TimeBack),
        (n.clone(), n.clone()).prop_map(|(a, b)| Edit::RenameOver(a, b)),
        (n.clone(), n.clone()).prop_map(|(a, b)| Edit::MoveDir(a, b)),
        n.clone().prop_map(Edit::Remove),
        (n.clone(), n.clone()).prop_map(|(a, b)| Edit::HardLink(a, b)),
        (n.clone(), any::<u8>()).prop_map(|(a, b)| Edit::Retarget(a, b)),
        n.clone().prop_map(Edit::MakeDir),
        (n, 0u32..5).prop_map(|(a, id)| Edit::Chown(a, id)),
    ]
}

fn paths(root: &Path, keep: impl Fn(&fs::Metadata) -> bool + Copy) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            if meta.is_dir() {
                pending.push(entry.path());
            }
            if keep(&meta) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Applies an edit where the tree has what it needs. Errors such as a directory moved into
/// itself leave the tree as it was.
fn apply(root: &Path, edit: &Edit) {
    let files = paths(root, fs::Metadata::is_file);
    let dirs = paths(root, fs::Metadata::is_dir);
    let file = |n: &usize| (!files.is_empty()).then(|| &files[n % files.len()]);
    let dir = |n: &usize| dirs.get(n % (dirs.len() + 1)).map_or(root, PathBuf::as_path);
    match edit {
        Edit::Write(n, byte) => {
            fs::write(dir(n).join(format!("w{}", byte % 8)), vec![*byte; usize::from(*byte)]).ok();
        }
        Edit::SameSize(n, byte) => {
            if let Some(path) = file(n) {
                let len = fs::metadata(path).unwrap().len() as usize;
                fs::write(path, vec![*byte; len]).ok();
            }
        }
        Edit::Chmod(n, mode) => {
            let any = paths(root, |m| !m.is_symlink());
            if let Some(path) = any.get(n % (any.len() + 1)) {
                let least = if path.is_dir() { 0o700 } else { 0o600 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode | least)).unwrap();
            }
        }
        Edit::Xattr(n, byte) => {
            if let Some(path) = file(n) {
                let name = path.file_name().unwrap().to_str().unwrap();
                set_xattr(path.parent().unwrap(), name, "user.edit", &[*byte]);
            }
        }
        Edit::TimeBack(n) => {
            if let Some(path) = file(n) {
                let before = fs::metadata(path).unwrap().modified().unwrap();
                let len = fs::metadata(path).unwrap().len() as usize;
                fs::write(path, vec![b'b'; len]).unwrap();
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_modified(before).unwrap();
            }
        }
        Edit::RenameOver(a, b) => {
            if let (Some(a), Some(b)) = (file(a), file(b)) {
                fs::rename(a, b).ok();
            }
        }
        Edit::MoveDir(a, b) => {
            if dir(a) != root {
                fs::rename(dir(a), dir(b).join("moved")).ok();
            }
        }
        Edit::Remove(n) => {
            let any = paths(root, |_| true);
            if let Some(path) = any.get(n % (any.len() + 1)) {
                fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)).unwrap();
            }
        }
        Edit::HardLink(a, b) => {
            if let Some(path) = file(a) {
                fs::hard_link(path, dir(b).join("hard")).ok();
            }
        }
        Edit::Retarget(n, byte) => {
            let path = dir(n).join("link");
            if fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) {
                fs::remove_file(&path).unwrap();
            }
            symlink(format!("to{byte}"), path).ok();
        }
        Edit::MakeDir(n) => {
            fs::create_dir(dir(n).join("made")).ok();
        }
        Edit::Chown(n, id) => {
            if let Some(path) = file(n).filter(|_| is_root()) {
                std::os::unix::fs::chown(path, Some(*id), Some(*id)).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Guards the whole of it: after any edits, made right after one another, the indexed tree
    /// is the one a full import gives; `ostree` agrees on the last.
    #[test]
    fn indexed_equals_full(
        rounds in proptest::collection::vec(proptest::collection::vec(edit(), 0..5), 1..6),
        settled in any::<bool>(),
    ) {
        if have_ostree() {
            let bench = Bench::new(RepoMode::Archive);
            let source = bench.path("tree");
            sample(&source);
            let repo = bench.ours();
            for round in &rounds {
                // A change that follows an import within the same tick must be seen as well.
                let at = if settled {
                    // Past the tick of the clock that files get their times from.
                    std::thread::sleep(Duration::from_millis(25));
                    later()
                } else {
                    now()
                };
                tree_of(&repo, &source, at);
                for edit in round {
                    apply(&source, edit);
                }
                let (tree, _) = tree_of(&repo, &source, at);
                let full = bench.commit(&["tree"], &CommitModifier::default()).unwrap();
                prop_assert_eq!(tree, full.tree, "after {:?}", round);
            }
            bench.theirs(&["tree"], &[]);
            let list = |name| ostree(&bench.path(name), &["ls", "-R", "-C", "-X", "main"]);
            prop_assert_eq!(list("ours"), list("theirs"));
        }
    }
}
