use trefoil_repo::RepoMode;
use trefoil_repo::commit::{CommitModifier, is_unchanged};

use crate::bench::{Bench, have_ostree, modes};
use crate::sample::{mkdir, sample, write};

/// The heart of it: one tree with every kind of entry.
#[test]
fn every_mode_gives_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        let first = bench.same(&["tree"], &[], &CommitModifier::default());
        assert_eq!(first.imported.dirs, 7);
        let again = bench.same(&["tree"], &[], &CommitModifier::default());
        assert_eq!(again.tree, first.tree);
        assert!(is_unchanged(&bench.ours(), &first.checksum, &again.tree).unwrap());
        assert_eq!(again.written.content_objects_written, 0, "nothing is written twice");
        assert_eq!(again.written.metadata_objects_written, 1, "the commit alone is new");
    }
}

/// Trees laid over each other are united, the last one wins, and a file against a directory is
/// refused.
#[test]
fn trees_unite_as_in_libostree() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        sample(&bench.path("one"));
        mkdir(&bench.path("two"), "usr/bin/new", 0o750);
        mkdir(&bench.path("two"), "usr", 0o711);
        write(&bench.path("two"), "usr/bin/tool", b"other", 0o700);
        write(&bench.path("two"), "added", b"other", 0o644);
        bench.same(&["one", "two"], &[], &CommitModifier::default());
        bench.same(&["two", "one"], &[], &CommitModifier::default());
        bench.same(&["ref=main", "two"], &[], &CommitModifier::default());
        bench.same(&["one", "ref=main"], &[], &CommitModifier::default());
        mkdir(&bench.path("three"), "empty", 0o755);
        let clash = bench.commit(&["one", "three"], &CommitModifier::default()).unwrap_err();
        assert_eq!(clash.to_string(), "Can't replace file with directory: empty");
        let clash = bench.commit(&["three", "one"], &CommitModifier::default()).unwrap_err();
        assert_eq!(clash.to_string(), "Can't replace directory with file: empty");
    }
}

/// Overlaying reads only the directories that both trees have, and writes only changed ones.
#[test]
fn untouched_directories_are_neither_read_nor_written() {
    let bench = match have_ostree() {
        true => Bench::new(RepoMode::Archive),
        false => return,
    };
    for i in 0..20 {
        mkdir(&bench.path("big"), &format!("d{i}/sub"), 0o755);
        write(&bench.path("big"), &format!("d{i}/sub/f"), format!("{i}").as_bytes(), 0o644);
    }
    mkdir(&bench.path("small"), "d3", 0o755);
    write(&bench.path("small"), "d3/new", b"n", 0o644);
    bench.commit(&["big"], &CommitModifier::default()).unwrap();
    let done = bench.commit(&["ref=main", "small"], &CommitModifier::default()).unwrap();
    let expected = ["dirtree of d3", "root dirtree", "commit"].len() as u64;
    assert_eq!(done.written.metadata_objects_written, expected);
}

/// Guards that a tree is the same to the bit wherever an import goes over from the calling thread
/// to all cores: amid the files of a directory, between directories, far down, after a large
/// file. And that directories are written once, with and without a look for them.
#[test]
fn an_import_goes_over_to_all_cores_anywhere() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    let file = |path: String, bytes: &[u8]| {
        let path = bench.path(&path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for i in 0..600 {
        file(format!("files/f{i}"), b"one directory");
        file(format!("dirs/d{}/e{}/f", i / 20, i % 20), format!("{i}").as_bytes());
    }
    for i in 0..60 {
        file(format!("deep/{}f{i}", "x/".repeat(i)), b"deep");
    }
    for i in 0..6 {
        let bytes = if i == 1 { vec![7; 40 << 20] } else { vec![1] };
        file(format!("large/a{}/f{i}", i / 2), &bytes);
    }
    for tree in ["files", "dirs", "deep", "large"] {
        let first = bench.same(&[tree], &[], &CommitModifier::default());
        let again = bench.same(&[tree], &[], &CommitModifier::default());
        assert_eq!(again.imported, first.imported, "{tree}");
        assert_eq!(again.written.metadata_objects_written, 1, "{tree}: the commit alone is new");
    }
}
