use std::io::Read;
use std::process::Command;

use trefoil_repo::delta::{
    DeltaName, Limits, Part, Piece, RecipeKind, apply_part, chunks, plan_delta, read_delta,
    read_part, read_superblock, write_delta_commit,
};

use crate::ground::{Ground, is_root};

/// Guards that we apply what libostree makes, in every mode; also into an archive, which
/// libostree itself cannot.
#[test]
fn we_apply_those_of_ostree() {
    let Some(ground) = Ground::new() else { return };
    let all =
        if is_root() { &["bare-user", "archive", "bare"][..] } else { &["bare-user", "archive"] };
    let one = &["bare-user"][..];
    for (flags, modes) in [
        (&[][..], all),
        (&["--disable-bsdiff"], all),
        (&["--inline"], one),
        (&["--swap-endianness"], one),
        (&["--max-bsdiff-size=0"], one),
        (&["--set-endianness=B", "--inline"], one),
    ] {
        ground.generate_with_ostree(flags);
        for mode in modes {
            ground.destination(mode, mode);
            ground.apply(mode, &ground.delta_dir()).expect("it applies");
            ground.assert_complete(mode);
        }
    }
}

/// Guards that a second time does nothing, that what is there is not fetched, and that a part
/// is only needed for what is missing.
#[test]
fn only_what_is_missing_is_needed() {
    let Some(ground) = Ground::new() else { return };
    ground.generate_with_ostree(&["--max-chunk-size=1"]);
    ground.destination("bare-user", "bare-user");
    let repo = ground.open("bare-user");
    let source = ground.open("source");
    let bytes = read_delta(&source, &ground.name()).expect("a superblock");
    let (superblock, signed) = read_superblock(&bytes).expect("a superblock");
    assert!(signed.is_none());
    let txn = repo.begin().expect("a transaction");
    let plan = plan_delta(&txn, superblock.clone()).expect("a plan");
    assert!(!plan.has_commit);
    assert_eq!(plan.parts.len(), superblock.parts.len());
    assert_eq!(plan.bytes(), superblock.part_sizes().0);
    for (index, header) in plan.part_headers() {
        let bytes = read_part(&source, &ground.name(), index, header.size).expect("a part");
        let outcome = apply_part(&txn, header, &bytes, &Limits::default()).expect("it applies");
        assert_eq!((outcome.objects, outcome.made), {
            let all = header.objects.len() as u64;
            (all, all)
        });
    }
    // Within the transaction they are there already.
    assert!(plan_delta(&txn, superblock.clone()).expect("a plan").parts.is_empty());
    write_delta_commit(&txn, &superblock).expect("the commit");
    txn.commit().expect("it is committed");
    ground.assert_complete("bare-user");
    let txn = repo.begin().expect("a transaction");
    let plan = plan_delta(&txn, superblock).expect("a plan");
    assert!(plan.has_commit && plan.parts.is_empty() && plan.bytes() == 0);
}

/// Guards the refusal that needs the least: the commit it starts from is not there.
#[test]
fn the_commit_it_starts_from_is_needed() {
    let Some(ground) = Ground::new() else { return };
    ground.generate_with_ostree(&[]);
    ground.init("bare-user", "bare-user");
    let refused = ground.apply("bare-user", &ground.delta_dir()).expect_err("nothing is there");
    assert!(refused.to_string().contains("which is the delta source, is not in repository"));
}

/// Guards that chunks end where libostree ends them: in a delta without bsdiff every copy it
/// makes is of whole chunks, one after the other.
#[test]
fn chunks_end_where_those_of_ostree_do() {
    let Some(ground) = Ground::new() else { return };
    ground.generate_with_ostree(&["--disable-bsdiff"]);
    let source = ground.open("source");
    let name = ground.name();
    let (superblock, _) =
        read_superblock(&read_delta(&source, &name).expect("bytes")).expect("a superblock");
    let mut copies = 0;
    for (index, header) in superblock.parts.iter().enumerate() {
        let bytes = read_part(&source, &name, index, header.size).expect("a part");
        let part = Part::open(header, &bytes, &Limits::default()).expect("a part");
        for recipe in part.recipes(&header.objects).expect("recipes").0 {
            let RecipeKind::File { pieces, .. } = recipe.kind else { continue };
            for piece in pieces {
                let Piece::Copy { source: from, offset, len } = piece else { continue };
                let mut old = Vec::new();
                let object = source.load_file(&from).expect("it is there");
                { object.content }.read_to_end(&mut old).expect("it is read");
                let whole = |c: &trefoil_repo::delta::Chunk| {
                    (c.start as u64, c.len as u64) == (offset, len)
                };
                assert!(chunks(&old).iter().any(whole), "{offset}+{len} is no chunk");
                copies += 1;
            }
        }
    }
    assert!(copies > 20, "the sample has to have chunks: {copies}");
}

/// Guards deltas of before the byte order was noted, which libostree's test suite has.
#[test]
fn old_deltas_of_either_order_are_read() {
    let Some(ground) = Ground::new() else { return };
    let suite = "/usr/libexec/installed-tests/libostree";
    for order in ["big", "little"] {
        let archive = format!("{suite}/pre-endian-deltas-repo-{order}.tar.xz");
        if !std::path::Path::new(&archive).exists() {
            let required = std::env::var_os("CI").is_some_and(|v| v == "true");
            assert!(!required, "{archive} is missing (package ostree-tests), and CI=true");
            eprintln!("SKIPPED: {archive} is missing (package ostree-tests)");
            return;
        }
        let _ = std::fs::remove_dir_all(ground.path("pre-endian-deltas-repo"));
        let mut unpack = Command::new("tar");
        unpack.arg("xf").arg(&archive).arg("-C").arg(ground.path("."));
        assert!(unpack.status().expect("tar starts").success());
        let repo = ground.open("pre-endian-deltas-repo");
        let name: DeltaName = {
            let rev = |rev| ground.ostree("pre-endian-deltas-repo", &["rev-parse", rev]);
            format!("{}-{}", rev("main^"), rev("main")).parse().expect("a name")
        };
        let (superblock, _) =
            read_superblock(&read_delta(&repo, &name).expect("bytes")).expect("a superblock");
        assert_eq!(superblock.endianness.is_big(), order == "big");
        ground.init(order, "bare-user");
        let from = name.from.expect("one").to_hex();
        ground.ostree(order, &["pull-local", "pre-endian-deltas-repo", &from]);
        let refused = ground.apply(order, &format!("pre-endian-deltas-repo/{}", name.dir()));
        match superblock.fallbacks.is_empty() {
            true => {
                refused.expect("it applies");
                ground.ostree(order, &["fsck", "-q"]);
            }
            false => assert!(refused.expect_err("it has").to_string().contains("fallback")),
        }
    }
}
