use std::fs;

use trefoil_format::gvariant::Value;
use trefoil_repo::delta::{
    GenerateOptions, Limits, Superblock, apply_part, patch_part, plan_delta,
};

use crate::ground::Ground;

const KEY: &str = "trefoil.dirtrees";

/// A tree with a very large directory, of which some names change, and one with few.
fn wide() -> Option<Ground> {
    let mut ground = Ground::new()?;
    for n in 0..3000 {
        ground.write(&format!("wide/name-{n}"), format!("{n}").as_bytes());
    }
    ground.from = ground.commit("source");
    ground.write("wide/name-7", b"changed");
    ground.write("wide/name-new", b"new");
    ground.write("wide/becomes-dir/inside", b"new");
    fs::remove_file(ground.path("tree/wide/name-2999")).expect("it is there");
    ground.write("share/text", b"changed too");
    ground.to = ground.commit("source");
    let report = ground.generate(&GenerateOptions::new(0));
    // The large directory has a part of its own; the root, share and the new one have not.
    assert_eq!((report.patched, report.metadata, report.parts.len()), (1, 4, 2), "{report:?}");
    assert_eq!(report.parts[0].0, 1);
    Some(ground)
}

impl Ground {
    fn superblock(&self) -> Superblock {
        let bytes = fs::read(self.path(&self.delta_dir()).join("superblock"));
        Superblock::parse(&bytes.expect("it is there")).expect("a superblock")
    }

    fn set_superblock(&self, superblock: &Superblock) {
        let place = self.path(&self.delta_dir()).join("superblock");
        fs::write(place, superblock.to_bytes().expect("bytes")).expect("file");
    }

    fn remove_part(&self, index: &str) {
        fs::remove_file(self.path(&self.delta_dir()).join(index)).expect("it is there");
    }
}

/// Guards both: libostree applies such a delta as any other, and we do without the part that
/// has most of its bytes.
#[test]
fn the_part_of_a_large_directory_is_not_needed() {
    let Some(ground) = wide() else { return };
    ground.destination("theirs", "bare-user");
    ground.apply_with_ostree("theirs", &ground.delta_dir());
    ground.assert_complete("theirs");
    let superblock = ground.superblock();
    assert!(superblock.parts[0].size > 50 * superblock.parts[1].size, "{:?}", superblock.parts);
    ground.remove_part("0");
    for mode in ["bare-user", "archive"] {
        ground.destination(mode, mode);
        ground.apply(mode, &ground.delta_dir()).expect("it applies without");
        ground.assert_complete(mode);
    }
    ground.remove_part("1");
    ground.destination("again", "bare-user");
    ground.apply("again", &ground.delta_dir()).expect_err("the other part is needed");
}

/// Guards that the part is taken where what the superblock says leads elsewhere, and that
/// nothing wrong is written then.
#[test]
fn wrong_words_lead_to_the_part() {
    let Some(ground) = wide() else { return };
    let good = ground.superblock();
    let good_value = good.metadata.get(KEY).expect("it says so").clone();
    let Value::Array(ty, items) = &good_value else { panic!("no array: {good_value:?}") };
    let Value::Tuple(members) = &items[0] else { panic!("no tuple: {items:?}") };
    let with = |at: usize, bytes: Vec<u8>| {
        let mut members = members.clone();
        members[at] = Value::Bytes(bytes);
        Value::Array(ty.clone(), vec![Value::Tuple(members)])
    };
    let root = good.commit().expect("a commit").root_tree;
    let wrong = [
        // Another new directory, another old one, one that is not there, nothing gone, nothing
        // changed, no dirtree.
        with(0, root.as_bytes().to_vec()),
        with(1, vec![7; 32]),
        with(1, good.parts[1].objects[0].checksum.as_bytes().to_vec()),
        with(2, Vec::new()),
        with(3, trefoil_format::dirtree::DirTree::default().to_bytes()),
        with(3, b"nonsense".to_vec()),
        Value::strings(["of another type"]),
    ];
    for (n, value) in wrong.into_iter().enumerate() {
        let mut bad = good.clone();
        bad.metadata.set(KEY, value);
        ground.set_superblock(&bad);
        ground.destination("bare-user", "bare-user");
        ground.apply("bare-user", &ground.delta_dir()).unwrap_or_else(|e| panic!("{n}: {e}"));
        ground.assert_complete("bare-user");
    }
    // Less than the directory takes: it is not made, and the part is refused too.
    let mut less = good.clone();
    less.parts[0].usize -= 1;
    ground.set_superblock(&less);
    ground.destination("bare-user", "bare-user");
    let repo = ground.open("bare-user");
    let txn = repo.begin().expect("a transaction");
    let plan = plan_delta(&txn, less).expect("a plan");
    assert_eq!((&plan.patched[..], &plan.parts[..]), (&[0][..], &[1][..]));
    assert!(!patch_part(&txn, &plan, 0).expect("it is tried"), "it is too large");
    let part = fs::read(ground.path(&ground.delta_dir()).join("0")).expect("it is there");
    let header = &plan.superblock.parts[0];
    apply_part(&txn, header, &part, &Limits::default()).expect_err("it is too large");
    assert_eq!(txn.stats(), Default::default(), "nothing was written");
}
