use std::fs;

use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_repo::Repo;
use trefoil_repo::delta::{
    DeltaPlace, GenerateOptions, generate_delta, has_delta, read_delta, read_part, read_superblock,
};

use crate::ground::Ground;

/// Guards that a delta is never seen without its parts: dying at every operation that changes
/// something leaves the old delta whole, or the new one, or none.
#[test]
fn dying_leaves_no_half_delta() {
    let Some(ground) = Ground::new() else { return };
    let plain = ground.path("plain");
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .args([ground.path("source"), plain.clone()])
            .status()
            .expect("cp starts")
            .success()
    );
    ground.generate(&GenerateOptions { bsdiff: false, ..GenerateOptions::new(1) });
    let replaced = ground.path("replaced");
    fs::rename(ground.path("source"), &replaced).expect("rename");
    let options = GenerateOptions { max_chunk_size: 300_000, ..GenerateOptions::new(2) };
    for (start, had_one) in [(&plain, false), (&replaced, true)] {
        let mut seen = (0, 0);
        for at in 1.. {
            let _ = fs::remove_dir_all(ground.path("source"));
            let copied = std::process::Command::new("cp")
                .arg("-a")
                .arg(start)
                .arg(ground.path("source"))
                .status();
            assert!(copied.expect("cp starts").success());
            let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
            let dir = fs.open_dir(ground.path("source")).expect("directory");
            let made = Repo::open(dir)
                .and_then(|repo| generate_delta(&repo, ground.name(), DeltaPlace::Repo, &options));
            let struck = fs.fault_struck();
            assert!(made.is_ok() || struck, "{made:?}");
            match timestamp_of_whole(&ground) {
                None => assert!(!had_one, "the old delta is gone at {at}"),
                Some(1) => seen.0 += 1,
                Some(_) => seen.1 += 1,
            }
            if !struck {
                break;
            }
        }
        assert!(seen.1 > 0 && (seen.0 > 0 || !had_one), "{seen:?}");
    }
}

/// The time in the superblock, where there is one; then every part must be there.
fn timestamp_of_whole(ground: &Ground) -> Option<u64> {
    let repo = ground.open("source");
    if !has_delta(&repo, &ground.name()).expect("it is looked for") {
        return None;
    }
    let bytes = read_delta(&repo, &ground.name()).expect("bytes");
    let (superblock, _) = read_superblock(&bytes).expect("a superblock");
    for (index, header) in superblock.parts.iter().enumerate() {
        let bytes = read_part(&repo, &ground.name(), index, header.size).expect("a part");
        assert_eq!(trefoil_format::checksum::Checksum::of(&bytes), header.checksum);
    }
    Some(superblock.timestamp)
}
