use trefoil_delta::{DeltaIndex, SignedDelta, Superblock, is_signed};
use trefoil_format::dirtree::{DirTree, DirTreeView};
use trefoil_format::gvariant::Metadata;
use trefoil_repo::delta::read_superblock;
use trefoil_repo::summary::Summary;
use trefoil_sign::{SignType, append_signature, signatures};

use super::{Target, stable};

pub const TARGET: Target = Target {
    name: "summaries",
    formats: "summary and its signatures, detached metadata, static delta superblock with and \
              without signatures, delta index",
    run,
};

fn run(bytes: &[u8]) {
    let Some(summary) = stable(bytes, Summary::parse, Summary::to_bytes) else {
        return others(bytes);
    };
    assert!(Summary::parse_value(bytes).is_ok());
    if let Some(value) = summary.metadata.get(DeltaIndex::KEY) {
        let _ = DeltaIndex::from_value(value);
    }
}

fn others(bytes: &[u8]) {
    stable(bytes, DeltaIndex::parse, DeltaIndex::to_bytes);
    if let Ok(mut metadata) = Metadata::parse(bytes) {
        for ty in SignType::ALL {
            let key = ty.metadata_key();
            let before = signatures(&metadata, key).ok().flatten().map_or(0, |list| list.len());
            append_signature(&mut metadata, key, vec![1]);
            let after = signatures(&metadata, key);
            assert!(after.is_err() || after.is_ok_and(|list| list.unwrap().len() == before + 1));
        }
    }
    if let Some(signed) = stable(bytes, SignedDelta::parse, SignedDelta::to_bytes) {
        assert!(is_signed(bytes));
        for ty in signed.sign_types() {
            let _ = signed.signatures_of(ty);
        }
    }
    if let Ok((superblock, _)) = read_superblock(bytes) {
        for patch in superblock.tree_patches() {
            // Of the input itself, should it be a dirtree, and of one that is.
            for old in [bytes.to_vec(), DirTree::default().to_bytes()] {
                if let Ok(new) = patch.apply(old) {
                    DirTreeView::parse(&new).expect("what comes out is a dirtree");
                }
            }
        }
        let sizes = (superblock.part_sizes(), superblock.fallback_sizes(), superblock.detached());
        if superblock.commit().is_ok() {
            let written = superblock.to_bytes().expect("its commit can be read");
            let again = Superblock::parse(&written).expect("it was just written");
            assert_eq!(again.to_bytes().ok().as_ref(), Some(&written));
            let again = (again.part_sizes(), again.fallback_sizes(), again.detached());
            assert_eq!(again, sizes);
        }
    }
}
