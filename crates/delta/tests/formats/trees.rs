use proptest::prelude::*;
use trefoil_delta::{Endianness, Superblock, TreePatch};
use trefoil_format::dirtree::{DirTree, DirTreeView, FileEntry, SubdirEntry};
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::name::EntryName;

use crate::sample::{sum, superblock};

const KEY: &str = "trefoil.dirtrees";

/// What a name stands for: nothing, a file, or a directory, with a number for its content.
type Kinds = Vec<(u8, u8)>;

fn tree(kinds: &Kinds) -> DirTree {
    let mut tree = DirTree::default();
    for (at, (kind, content)) in kinds.iter().enumerate() {
        let name = EntryName::new(&format!("name-{}", at * 37 % 101)).expect("a name");
        let checksum = sum(&content.to_string());
        match kind {
            0 => {}
            1 => tree.files.push(FileEntry { name, checksum }),
            _ => tree.dirs.push(SubdirEntry { name, tree: checksum, meta: sum("meta") }),
        }
    }
    tree.sort();
    tree
}

fn patch(old: &DirTree, new: &DirTree) -> TreePatch {
    let (old_bytes, new_bytes) = (old.to_bytes(), new.to_bytes());
    let view = |bytes| DirTreeView::parse(bytes).expect("a dirtree");
    let (from, to) = (old.checksum(), new.checksum());
    TreePatch::between((from, &view(&old_bytes)), (to, &view(&new_bytes)))
}

fn kinds() -> impl Strategy<Value = Kinds> {
    proptest::collection::vec((0_u8..3, 0_u8..4), 0..60)
}

proptest! {
    /// Guards that a directory comes out as it was, whatever became of each name.
    #[test]
    fn the_new_directory_comes_out(old in kinds(), new in kinds()) {
        let (old, new) = (tree(&old), tree(&new));
        let patch = patch(&old, &new);
        prop_assert_eq!(patch.apply(old.to_bytes()).expect("it applies"), new.to_bytes());
        // And goes through a superblock.
        let mut superblock = superblock(Endianness::Big);
        superblock.set_tree_patches([&patch].into_iter());
        let read = Superblock::parse(&superblock.to_bytes().expect("bytes")).expect("one");
        prop_assert_eq!(read.tree_patches().collect::<Vec<_>>(), vec![patch]);
    }

    /// Guards that what does not belong together makes a dirtree, or an error.
    #[test]
    fn another_directory_makes_a_dirtree(old in kinds(), new in kinds(), other in kinds()) {
        let patch = patch(&tree(&old), &tree(&new));
        let made = patch.apply(tree(&other).to_bytes()).expect("both are dirtrees");
        DirTreeView::parse(&made).expect("a dirtree");
    }
}

/// Guards what it is for: a few names of many take few bytes.
#[test]
fn few_changes_take_few_bytes() {
    let old: Kinds = (0..100).map(|n| (1, n)).collect();
    let mut new = old.clone();
    new[50] = (1, 200);
    let patch = patch(&tree(&old), &tree(&new));
    assert!(patch.size() < 130, "{} bytes", patch.size());
}

/// Guards that nonsense under the key is no error, and damage no panic.
#[test]
fn nonsense_is_left_out() {
    let (old, new) = (tree(&vec![(1, 1), (2, 2), (1, 3)]), tree(&vec![(1, 7), (0, 0), (2, 3)]));
    let patch = patch(&old, &new);
    let mut block = superblock(Endianness::Little);
    block.set_tree_patches([&patch].into_iter());
    let good = Metadata::to_bytes(&block.metadata);
    let mut read = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x11;
        let Ok(metadata) = Metadata::parse(&bad) else { continue };
        block.metadata = metadata;
        for patch in block.tree_patches() {
            read += 1;
            let _ = patch.apply(old.to_bytes());
            let _ = patch.apply(bad.clone());
        }
    }
    assert!(read > 50, "the damage must reach the patch: {read}");
    for nonsense in [Value::Byte(1), Value::strings(["one"]), Value::Bytes(vec![1, 2, 3])] {
        block.metadata.set(KEY, nonsense);
        assert_eq!(block.tree_patches().count(), 0);
    }
}
