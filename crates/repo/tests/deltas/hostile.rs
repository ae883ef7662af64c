use trefoil_format::checksum::Checksum;
use trefoil_format::object::ObjectName;
use trefoil_repo::Repo;
use trefoil_repo::delta::{
    GenerateOptions, Limits, PartHeader, apply_part, plan_delta, read_delta, read_part,
    read_superblock, write_delta_commit,
};

use crate::ground::Ground;

/// Guards that whatever is done to a part, each object that comes out has its checksum. The
/// checksum of the part is made to fit, so that the damage gets past it.
#[test]
fn a_damaged_part_makes_no_wrong_object() {
    let Some(ground) = Ground::new() else { return };
    ground.generate(&GenerateOptions { max_bsdiff_size: 150_000, ..GenerateOptions::new(0) });
    ground.destination("bare-user", "bare-user");
    let source = ground.open("source");
    let bytes = read_delta(&source, &ground.name()).expect("bytes");
    let (superblock, _) = read_superblock(&bytes).expect("a superblock");
    let header = &superblock.parts[0];
    let packed = read_part(&source, &ground.name(), 0, header.size).expect("a part");
    let mut plain = vec![0];
    std::io::Read::read_to_end(&mut lzma_rust2::XzReader::new(&packed[1..], false), &mut plain)
        .expect("it is LZMA");
    let repo = ground.open("bare-user");
    // Operations and tables lie at the ends; of the contents some places do.
    let len = plain.len();
    let ends = (0..100).chain(len - 300..len).step_by(2);
    let places = ends.chain((100..len - 300).step_by(len / 20));
    for at in places {
        let mut damaged = plain.clone();
        damaged[at] ^= 0x11;
        assert_true_objects(&repo, header, &damaged);
    }
    for len in [0, 1, 100, len / 2, len - 1] {
        assert_true_objects(&repo, header, &plain[..len]);
    }
    ground.ostree("bare-user", &["fsck", "-q"]);
}

fn assert_true_objects(repo: &Repo, header: &PartHeader, bytes: &[u8]) {
    let header = PartHeader { checksum: Checksum::of(bytes), ..header.clone() };
    let txn = repo.begin().expect("a transaction");
    let applied = apply_part(&txn, &header, bytes, &Limits::default());
    if applied.is_ok() {
        // The damage did no harm: what came out has to be what was promised.
        let has = |name: &ObjectName| txn.has_object(name).expect("it is looked for");
        assert!(header.objects.iter().all(has));
    }
    // Dropped: nothing of it gets into the repository.
}

/// Guards that a part which was exchanged is refused before it is decompressed, that the commit
/// is compared with its name, and that nothing is left behind.
#[test]
fn an_exchanged_part_is_refused() {
    let Some(ground) = Ground::new() else { return };
    ground.generate(&GenerateOptions::new(0));
    ground.destination("bare-user", "bare-user");
    let part = ground.path(&ground.delta_dir()).join("0");
    let mut bytes = std::fs::read(&part).expect("it is there");
    bytes[100] ^= 1;
    std::fs::write(&part, &bytes).expect("file");
    let refused = ground.apply("bare-user", &ground.delta_dir()).expect_err("it was changed");
    let cause = std::error::Error::source(&refused).expect("a cause").to_string();
    assert!(cause.starts_with("Checksum mismatch in static delta part; expected="), "{cause}");
    assert!(!ground.try_ostree("bare-user", &["show", &ground.to]).status.success());
    let repo = ground.open("bare-user");
    let bytes = read_delta(&ground.open("source"), &ground.name()).expect("bytes");
    let (mut superblock, _) = read_superblock(&bytes).expect("a superblock");
    superblock.name.to = superblock.name.from.expect("one");
    let txn = repo.begin().expect("a transaction");
    plan_delta(&txn, superblock.clone()).expect_err("another commit");
    write_delta_commit(&txn, &superblock).expect_err("another commit");
}

/// Guards disk and memory: a small part cannot make a large file out of copies, nor claim to.
#[test]
fn a_part_makes_no_more_than_it_says() {
    let Some(ground) = Ground::new() else { return };
    ground.generate(&GenerateOptions::new(0));
    ground.destination("bare-user", "bare-user");
    let source = ground.open("source");
    let bytes = read_delta(&source, &ground.name()).expect("bytes");
    let (superblock, _) = read_superblock(&bytes).expect("a superblock");
    let header = &superblock.parts[0];
    let packed = read_part(&source, &ground.name(), 0, header.size).expect("a part");
    let repo = ground.open("bare-user");
    let txn = repo.begin().expect("a transaction");
    let less = PartHeader { usize: header.usize - 1, ..header.clone() };
    let refused = apply_part(&txn, &less, &packed, &Limits::default()).expect_err("too much");
    assert!(refused.to_string().contains("its superblock says"), "{refused}");
    let limits = Limits { part: 1000, ..Limits::default() };
    let refused = apply_part(&txn, header, &packed, &limits).expect_err("too much");
    assert!(refused.to_string().contains("expands to more than 1000 bytes"), "{refused}");
    assert_eq!(txn.stats(), Default::default(), "nothing was written");
    let limits = Limits { patched: 1000, ..Limits::default() };
    apply_part(&txn, header, &packed, &limits).expect_err("the sources are larger");
}
