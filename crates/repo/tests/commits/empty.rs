//! The first objects of a repository get their places folder by folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use trefoil_format::file::FileHeader;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::Fs;
use trefoil_repo::{FileSource, Repo, RepoMode, Transaction};

use crate::bench::{Bench, have_ostree, modes, ostree};

const FOLDERS: u64 = 256;

fn put(transaction: &Transaction<'_>, numbers: std::ops::Range<u32>) -> Vec<ObjectName> {
    let (uid, gid) = (0, 0);
    let header =
        FileHeader { uid, gid, mode: 0o100_644, symlink_target: None, xattrs: Xattrs::default() };
    let put_one = |number: u32| {
        let content = number.to_string();
        let checksum = transaction.write_file(&header, FileSource::Bytes(content.as_bytes()));
        ObjectName::new(checksum.unwrap(), ObjectType::File)
    };
    numbers.map(put_one).collect()
}

/// Guards the cost: one rename for each folder, however many objects there are; with objects
/// there already it is one for each object.
#[test]
fn folders_are_renamed_and_not_objects() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let fs = Fs::new();
    let repo = Repo::open(fs.open_dir(bench.path("ours")).unwrap()).unwrap();
    let renames = |numbers| {
        let before = fs.counters();
        let transaction = repo.begin().unwrap();
        put(&transaction, numbers);
        transaction.commit().unwrap();
        fs.counters().since(&before).renames
    };
    assert_eq!(renames(0..4000), FOLDERS);
    assert_eq!(renames(4000..5000), 1000);
    ostree(&bench.path("ours"), &["fsck", "-q"]);
}

/// Guards the cost of an object in a repository that has some: each is looked for, written and
/// renamed, and no folder is opened for it where nobody else may change the folders.
#[test]
fn objects_open_no_folders() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let objects = bench.path("ours").join("objects");
    let fs = Fs::new();
    let repo = Repo::open(fs.open_dir(bench.path("ours")).unwrap()).unwrap();
    let cost = |numbers| {
        let before = fs.counters();
        let transaction = repo.begin().unwrap();
        put(&transaction, numbers);
        transaction.commit().unwrap();
        fs.counters().since(&before)
    };
    cost(0..4000);
    fs::set_permissions(&objects, fs::Permissions::from_mode(0o755)).unwrap();
    let (few, many) = (cost(4000..4010), cost(5000..5100));
    assert_eq!(many.opens, few.opens, "{:?} {:?}", few.nonzero(), many.nonzero());
    // Looked for, created, written, named; attribute, mode and time of `bare-user`.
    assert_eq!(many.total() - few.total(), 90 * 7, "{:?} {:?}", few.nonzero(), many.nonzero());
    // What a transaction costs by itself.
    assert!(few.total() < 10 * 7 + 20, "{:?}", few.nonzero());
    fs::set_permissions(&objects, fs::Permissions::from_mode(0o775)).unwrap();
    let others = cost(6000..6100);
    assert!(others.opens > many.opens + 50, "folders are held: {:?}", others.nonzero());
    ostree(&bench.path("ours"), &["fsck", "-q"]);
}

/// Guards two transactions that both found an empty repository: what they share and what only
/// one of them has is there afterwards, under names that libostree knows.
#[test]
fn two_may_fill_it_at_once() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        let repo = bench.ours();
        let (first, second) = (repo.begin().unwrap(), repo.begin().unwrap());
        let mut names = put(&first, 0..600);
        names.extend(put(&second, 300..900));
        first.commit().unwrap();
        second.commit().unwrap();
        for name in names {
            assert!(repo.has_object(&name).unwrap(), "{mode}: {name}");
        }
        let objects = repo.list_objects().unwrap();
        assert_eq!(objects.len(), 900, "{mode}");
        assert!(
            fs::read_dir(bench.path("ours/tmp"))
                .unwrap()
                .flatten()
                .all(|entry| { !entry.file_name().to_string_lossy().starts_with("staging-") })
        );
        ostree(&bench.path("ours"), &["fsck", "-q", "--all"]);
    }
}
