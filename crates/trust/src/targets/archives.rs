use trefoil_repo::MutableTree;
use trefoil_repo::commit::{ArchiveOptions, CommitModifier, import_archive};
use trefoil_repo::fuzzing::read_archive;

use super::Target;
use super::place::in_places;

pub const TARGET: Target = Target {
    name: "archives",
    formats: "tar (old, ustar, pax, GNU, sparse), cpio, and what they are packed with: gzip, xz, \
              zstd, bzip2",
    run,
};

/// Most bytes of holes: those are written as zeros.
const HOLES: u64 = 1 << 20;

fn run(bytes: &[u8]) {
    let _ = read_archive(bytes, HOLES);
    in_places(|_, bare| {
        let options = ArchiveOptions {
            autocreate_parents: bytes.len().is_multiple_of(2),
            max_hole_bytes: HOLES,
            ..ArchiveOptions::default()
        };
        let txn = bare.repo.begin().expect("a transaction");
        let mut tree = MutableTree::new();
        let modifier = CommitModifier::default();
        let imported = import_archive(&txn, &mut &bytes[..], &mut tree, &modifier, &options);
        if imported.is_ok()
            && let Ok(id) = tree.write(&txn)
        {
            let kind = trefoil_format::object::ObjectType::DirTree;
            let root = txn.load_metadata(kind, &id.tree).expect("it was just written");
            trefoil_format::dirtree::DirTree::parse(&root).expect("what was written can be read");
        }
    });
}
