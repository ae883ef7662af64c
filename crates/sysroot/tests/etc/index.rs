//! The index: believed only where it is right, at one stat for each entry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use trefoil_format::checksum::Checksum;
use trefoil_fsat::Fs;
use trefoil_repo::{Repo, RepoMode};
use trefoil_sysroot::etc::{
    EtcIndex, IndexState, PlanOptions, Sides, Sources, apply_fresh, diff, file_system_now, plan,
};

use crate::import::import;
use crate::tree::dir;

/// A deployment with `usr/etc`, an `etc` made from it, and the index of that.
struct Fixture {
    temp: TempDir,
    index: EtcIndex,
}

const COMMIT: [u8; 32] = [7; 32];

impl Fixture {
    fn new(settle: Duration) -> Fixture {
        let temp = TempDir::new().unwrap();
        let usr_etc = temp.path().join("usr/etc");
        for name in ["a", "d/x", "d/y", "e/deep/z"] {
            let path = usr_etc.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
        }
        std::os::unix::fs::symlink("a", usr_etc.join("link")).unwrap();
        fs::create_dir(temp.path().join("repo")).unwrap();
        let repo = Repo::create(dir(&temp.path().join("repo")), RepoMode::Archive, None).unwrap();
        let tree = import(&repo, &usr_etc);
        let defaults = dir(&usr_etc);
        let sides = Sides::Disk { old: &defaults, new: &defaults };
        let plan = plan(sides, None, PlanOptions::default()).unwrap();
        let sources = Sources {
            new_defaults: &defaults,
            local: None,
            objects: Some((&repo, tree)),
            commit: Checksum::from_bytes(COMMIT),
        };
        let applied = apply_fresh(&plan, sources, &dir(temp.path())).unwrap();
        std::thread::sleep(settle);
        let now = file_system_now(&dir(temp.path())).unwrap();
        let index = applied.seal(&dir(&temp.path().join("etc")), now).unwrap().unwrap();
        Fixture { temp, index }
    }

    /// Long enough after the last write for every entry to be believed.
    fn settled() -> Fixture {
        Fixture::new(Duration::from_millis(30))
    }

    fn etc(&self) -> PathBuf {
        self.temp.path().join("etc")
    }

    /// What the index finds; a full comparison must find the same.
    fn changes(&self) -> Vec<String> {
        let (old, local) = (dir(&self.temp.path().join("usr/etc")), dir(&self.etc()));
        let fast = diff(&old, &local, Some(&self.index)).unwrap();
        let slow = diff(&old, &local, None).unwrap();
        assert!(fast.stats.indexed && !slow.stats.indexed);
        let list = |c: &trefoil_sysroot::etc::LocalChanges| -> Vec<String> {
            let modified = c.modified.iter().map(|n| format!("M {}", n.path.display()));
            let removed = c.removed.iter().map(|p| format!("D {}", p.display()));
            let added = c.added.iter().map(|n| format!("A {}", n.path.display()));
            modified.chain(removed).chain(added).collect()
        };
        assert_eq!(list(&fast), list(&slow));
        list(&fast)
    }
}

/// Nothing changed: one stat for each entry, nothing opened, read or listed.
#[test]
fn unchanged_tree_costs_one_stat_for_each_entry() {
    let fixture = Fixture::settled();
    assert!(fixture.changes().is_empty());
    let fs = Fs::new();
    let old = fs.open_dir(fixture.temp.path().join("usr/etc")).unwrap();
    let local = fs.open_dir(fixture.etc()).unwrap();
    let before = fs.counters();
    diff(&old, &local, Some(&fixture.index)).unwrap();
    let cost = fs.counters().since(&before);
    assert_eq!(cost.total(), fixture.index.len() as u64, "{:?}", cost.nonzero());
}

/// Same size, and the modification time put back: the change time tells.
#[test]
fn edit_of_the_same_size_is_seen() {
    let fixture = Fixture::settled();
    let path = fixture.etc().join("d/x");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "D/X").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(fixture.changes(), ["M d/x"]);
}

/// An edit in the very tick of the file system's clock in which the index was sealed.
#[test]
fn racy_edit_is_seen() {
    for _ in 0..20 {
        let fixture = Fixture::new(Duration::ZERO);
        fs::write(fixture.etc().join("e/deep/z"), "E/DEEP/Z").unwrap();
        fs::write(fixture.etc().join("new"), "").unwrap();
        assert_eq!(fixture.changes(), ["M e/deep/z", "A new"]);
    }
}

#[test]
fn mode_rename_removal_and_addition_are_seen() {
    let fixture = Fixture::settled();
    let etc = fixture.etc();
    fs::set_permissions(etc.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(etc.join("d/temp"), "d/x").unwrap();
    fs::rename(etc.join("d/temp"), etc.join("d/y")).unwrap();
    fs::remove_dir_all(etc.join("e")).unwrap();
    fs::create_dir_all(etc.join("n/m")).unwrap();
    fs::write(etc.join("n/m/o"), "").unwrap();
    assert_eq!(fixture.changes(), ["M a", "M d/y", "D e", "A n", "A n/m", "A n/m/o"]);
}

/// Extended attributes alone are no change to libostree; they must not hide one either.
#[test]
fn attribute_alone_is_no_change() {
    let fixture = Fixture::settled();
    dir(&fixture.etc().join("d")).set_xattr(b"user.t", b"1").unwrap();
    let file = dir(&fixture.etc()).open_file("a").unwrap();
    file.set_xattr(b"user.t", b"1").unwrap();
    assert!(fixture.changes().is_empty());
}

/// A file replaced by another of equal content and mode is found to be equal, by reading.
#[test]
fn rename_over_with_equal_content_is_no_change() {
    let fixture = Fixture::settled();
    let etc = fixture.etc();
    fs::copy(etc.join("a"), etc.join("a.new")).unwrap();
    fs::rename(etc.join("a.new"), etc.join("a")).unwrap();
    assert!(fixture.changes().is_empty());
}

#[test]
fn types_that_change_are_seen() {
    let fixture = Fixture::settled();
    let etc = fixture.etc();
    fs::remove_file(etc.join("a")).unwrap();
    fs::create_dir(etc.join("a")).unwrap();
    fs::write(etc.join("a/in"), "").unwrap();
    fs::remove_dir_all(etc.join("d")).unwrap();
    fs::write(etc.join("d"), "").unwrap();
    fs::remove_file(etc.join("link")).unwrap();
    std::os::unix::fs::symlink("b", etc.join("link")).unwrap();
    assert_eq!(fixture.changes(), ["M a", "M d", "M link"]);
}

/// The index of one directory is not used for another.
#[test]
fn other_directory_is_compared_in_full() {
    let fixture = Fixture::settled();
    let copy = fixture.temp.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let usr_etc = dir(&fixture.temp.path().join("usr/etc"));
    let changes = diff(&usr_etc, &dir(&copy), Some(&fixture.index)).unwrap();
    assert!(!changes.stats.indexed);
    assert_eq!(changes.removed, ["a", "d", "e", "link"].map(PathBuf::from));
}

/// Every damage is found and named; nothing of it is used.
#[test]
fn damaged_index_is_ignored() {
    let fixture = Fixture::settled();
    let state = dir(fixture.temp.path());
    let commit = Checksum::from_bytes(COMMIT);
    assert_eq!(EtcIndex::load(&state, "index", &commit).unwrap(), IndexState::Missing);
    fixture.index.store(&state, "index").unwrap();
    let good = EtcIndex::load(&state, "index", &commit).unwrap();
    assert_eq!(good.good(), Some(&fixture.index), "round trip");

    let other = EtcIndex::load(&state, "index", &Checksum::from_bytes([8; 32])).unwrap();
    assert_eq!(other, IndexState::Ignored("it was made for another commit"));
    let bytes = fs::read(fixture.temp.path().join("index")).unwrap();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        fs::write(fixture.temp.path().join("index"), &bad).unwrap();
        assert!(EtcIndex::load(&state, "index", &commit).unwrap().good().is_none(), "byte {at}");
        fs::write(fixture.temp.path().join("index"), &bytes[..at]).unwrap();
        assert!(EtcIndex::load(&state, "index", &commit).unwrap().good().is_none(), "cut at {at}");
    }
}
