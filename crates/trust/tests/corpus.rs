//! Everything in `corpus/`, every past finding of a fuzz run among it, through the target it
//! belongs to.
#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use cap::Cap;
use trefoil_trust::targets::{INPUT_LIMIT, MEMORY_LIMIT, TARGETS, TIME_LIMIT};

/// As in the engine: an allocation beyond the limit fails, and with it the test.
#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, MEMORY_LIMIT);

/// How many cut and changed forms of each input are tried besides it.
const VARIATIONS: usize = 16;

/// Guards: nothing that was ever found comes back; every target still takes its seeds, whole,
/// cut and with a byte changed, within its bounds of memory and time.
#[test]
fn whatever_was_found_stays_mended() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in TARGETS {
        let dir = corpus.join(target.name);
        let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).expect("a file");
            assert!(bytes.len() <= INPUT_LIMIT, "{} is too large", path.display());
            eprintln!("{}", path.display());
            let start = Instant::now();
            (target.run)(&bytes);
            assert!(start.elapsed() < TIME_LIMIT, "{} takes too long", path.display());
            if target.name != "model" {
                variations(&bytes).for_each(|bytes| (target.run)(&bytes));
            }
            count += 1;
        }
        assert!(count > 0, "{} has no seeds", target.name);
    }
}

/// Guards: every directory of the corpus belongs to a target, and all of it is small.
#[test]
fn the_corpus_is_small_and_used() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut total = 0;
    for dir in fs::read_dir(&corpus).expect("there is a corpus") {
        let dir = dir.expect("an entry");
        let name = dir.file_name();
        assert!(TARGETS.iter().any(|target| *target.name == *name), "{name:?} belongs to nothing");
        for entry in fs::read_dir(dir.path()).expect("a directory") {
            total += entry.expect("an entry").metadata().expect("metadata").len();
        }
    }
    assert!(total < 1 << 20, "{total} bytes");
}

fn variations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let step = bytes.len().div_ceil(VARIATIONS).max(1);
    let cuts = (0..bytes.len()).step_by(step).map(|at| bytes[..at].to_vec());
    let changes = (0..bytes.len()).step_by(step).flat_map(|at| {
        [0x00, 0x01, 0x7f, 0xff].map(|value| {
            let mut changed = bytes.to_vec();
            changed[at] ^= value;
            changed
        })
    });
    cuts.chain(changes)
}
