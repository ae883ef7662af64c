use trefoil_repo::delta::{
    DeltaName, DeltaPlace, Endianness, GenerateOptions, generate_delta, read_superblock,
};

use trefoil_format::gvariant::Metadata;
use trefoil_repo::summary::update_summary;

use crate::ground::{Ground, Noise, is_root};

/// Ways to make a delta, with a word for messages.
fn ways() -> Vec<(&'static str, GenerateOptions<'static>)> {
    let usual = GenerateOptions::new(1_600_000_000);
    vec![
        ("usual", usual),
        ("inline", GenerateOptions { inline: true, ..usual }),
        ("swapped", GenerateOptions { endianness: Endianness::Big, ..usual }),
        ("no bsdiff", GenerateOptions { bsdiff: false, ..usual }),
        ("bsdiff of small files only", GenerateOptions { max_bsdiff_size: 100_000, ..usual }),
        ("many parts", GenerateOptions { max_chunk_size: 20_000, ..usual }),
    ]
}

/// Guards that libostree applies what we make, in every mode it applies deltas in.
#[test]
fn ostree_applies_ours() {
    let Some(ground) = Ground::new() else { return };
    for (way, options) in ways() {
        let report = ground.generate(&options);
        assert_eq!(report.parts.len() > 1, way == "many parts", "{way}: {report:?}");
        ground.destination("bare-user", "bare-user");
        ground.apply_with_ostree("bare-user", &ground.delta_dir());
        ground.assert_complete("bare-user");
    }
    if is_root() {
        ground.destination("bare", "bare");
        ground.apply_with_ostree("bare", &ground.delta_dir());
        ground.assert_complete("bare");
    }
}

/// Guards that every kind of difference is in the sample, and told as it should be.
#[test]
fn each_file_is_told_the_short_way() {
    let Some(ground) = Ground::new() else { return };
    let report = ground.generate(&GenerateOptions::new(0));
    // Copies: large, text, same (its attributes); bsdiff: scattered, libone; chunks: grows.
    // Not unreadable, whose source nobody else may read, and not packed.xz.
    assert_eq!((report.rollsum, report.bsdiff), (1, 5), "{report:?}");
    assert_eq!(report.modified, 6);
    assert_eq!(report.symlinks, 2);
    let report = ground.generate(&GenerateOptions { bsdiff: false, ..GenerateOptions::new(0) });
    assert_eq!(report.bsdiff, 0);
    assert!(report.rollsum >= 3, "{report:?}");
}

/// Guards the size: no larger than what libostree makes of the same.
#[test]
fn ours_is_no_larger() {
    let Some(ground) = Ground::new() else { return };
    for (flags, bsdiff) in [(&[][..], true), (&["--disable-bsdiff"][..], false)] {
        ground.generate_with_ostree(flags);
        let size = |ground: &Ground| {
            let bytes = std::fs::read(ground.path(&ground.delta_dir()).join("superblock"));
            let (superblock, _) = read_superblock(&bytes.expect("it is there")).expect("one");
            superblock.part_sizes().0
        };
        let theirs = size(&ground);
        ground.generate(&GenerateOptions { bsdiff, ..GenerateOptions::new(0) });
        assert!(size(&ground) <= theirs, "{} is more than {theirs}", size(&ground));
    }
}

/// Guards files that are left to be fetched by themselves: the same as libostree leaves.
#[test]
fn large_files_are_left_out() {
    let Some(mut ground) = Ground::new() else { return };
    ground.write("large-and-new", &Noise(5).bytes(1_200_000));
    ground.write("not-so-large", &Noise(6).bytes(900_000));
    ground.to = ground.commit("source");
    let show = |ground: &Ground| {
        let name = ground.name().to_string();
        let text = ground.ostree("source", &["static-delta", "show", &name]);
        let lines = text.lines().filter(|line| line.starts_with("  ") || line.contains("Fallback"));
        lines.map(String::from).collect::<Vec<_>>()
    };
    ground.generate_with_ostree(&["--min-fallback-size=1"]);
    let theirs = show(&ground);
    let options = GenerateOptions { min_fallback_size: 1_000_000, ..GenerateOptions::new(0) };
    assert_eq!(ground.generate(&options).fallbacks, 1);
    assert_eq!(show(&ground), theirs);
    assert_eq!(ground.generate(&GenerateOptions::new(0)).fallbacks, 0);
    ground.generate(&options);
    // Neither applies it without a way to fetch the rest.
    ground.destination("bare-user", "bare-user");
    let said =
        ground.try_ostree("bare-user", &["static-delta", "apply-offline", &ground.delta_dir()]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let refused = ground.apply("bare-user", &ground.delta_dir()).expect_err("there is one");
    assert!(said.contains(&refused.to_string()), "{said}");
}

/// Guards deltas from nothing, and one between equal trees, which has one empty part.
#[test]
fn from_nothing_and_to_the_same() {
    let Some(ground) = Ground::new() else { return };
    let repo = ground.open("source");
    let all = DeltaName::new(None, ground.name().to);
    generate_delta(&repo, all, DeltaPlace::Repo, &GenerateOptions::new(0)).expect("a delta");
    ground.init("fresh", "bare-user");
    ground.apply_with_ostree("fresh", &format!("source/{}", all.dir()));
    ground.assert_complete("fresh");
    ground.init("fresh-archive", "archive");
    ground.apply("fresh-archive", &format!("source/{}", all.dir())).expect("it applies");
    ground.assert_complete("fresh-archive");
    let again = ground.commit("source").parse().expect("a checksum");
    let name = DeltaName::new(Some(all.to), again);
    let report = generate_delta(&repo, name, DeltaPlace::Repo, &GenerateOptions::new(0));
    assert_eq!(report.expect("a delta").parts.len(), 1);
    ground.apply_with_ostree("fresh", &format!("source/{}", name.dir()));
    ground.apply("fresh-archive", &format!("source/{}", name.dir())).expect("it applies");
}

/// Guards a delta written to a file of one's own, with parts beside it or in it.
#[test]
fn to_a_file() {
    let Some(ground) = Ground::new() else { return };
    let repo = ground.open("source");
    for inline in [true, false] {
        let place = ground.path("out");
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).expect("directory");
        let dir = trefoil_fsat::Fs::new().open_dir(&place).expect("directory");
        let options = GenerateOptions { inline, ..GenerateOptions::new(0) };
        generate_delta(&repo, ground.name(), DeltaPlace::File(&dir, "my.delta"), &options)
            .expect("a delta");
        assert_eq!(place.join("0").exists(), !inline);
        assert!(!ground.path(&ground.delta_dir()).exists());
        ground.destination("bare-user", "bare-user");
        ground.apply_with_ostree("bare-user", "out/my.delta");
        ground.assert_complete("bare-user");
    }
}

/// Guards that libostree finds our delta in our summary, or in our list where the summary has
/// none, and pulls by it alone.
#[test]
fn ostree_pulls_by_ours() {
    let Some(ground) = Ground::new() else { return };
    ground.generate(&GenerateOptions::new(0));
    let url = format!("file://{}", ground.path("source").display());
    for in_summary in ["false", "true"] {
        ground.ostree("source", &["config", "set", "core.no-deltas-in-summary", in_summary]);
        let repo = ground.open("source");
        update_summary(&repo, 1_600_000_000, &Metadata::default(), None).expect("a summary");
        ground.destination("bare-user", "bare-user");
        ground.ostree("bare-user", &["remote", "add", "--no-gpg-verify", "origin", &url]);
        ground.ostree("bare-user", &["refs", "--create=origin:main", &ground.from]);
        let words = ["pull", "--require-static-deltas", "origin", "main"];
        let said = ground.ostree("bare-user", &words);
        assert!(said.contains("1 delta parts"), "{said}");
        ground.assert_complete("bare-user");
    }
}
