//! Files that are written past the page cache or do not fit memory.

use trefoil_repo::RepoMode;
use trefoil_repo::commit::CommitModifier;

use crate::bench::{Bench, have_ostree, modes};
use crate::sample::{mkdir, write};

const MIB: usize = 1 << 20;
/// Around the sizes at which the way changes: in memory, past the page cache, in pieces.
const SIZES: [usize; 6] = [MIB - 1, MIB, MIB + 1, 16 * MIB - 1, 16 * MIB, 17 * MIB + 4097];

fn content(size: usize, version: u8) -> Vec<u8> {
    (0..size).map(|at| (at >> 9) as u8 ^ (at >> 17) as u8 ^ version).collect()
}

/// Guards that large files are stored whole, where there is nothing yet and where there is
/// something: the checksums of libostree, and its fsck.
#[test]
fn large_files_give_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        mkdir(&bench.path("tree"), "", 0o755);
        for version in [1, 2] {
            for size in SIZES {
                // Packing takes its time, and its way does not change with the size.
                if mode != RepoMode::Archive || size > 16 * MIB {
                    let name = format!("file-{size}");
                    write(&bench.path("tree"), &name, &content(size, version), 0o644);
                }
            }
            let done = bench.same(&["tree"], &[], &CommitModifier::default());
            assert_eq!(done.written.content_objects_written, done.imported.files);
        }
    }
}
