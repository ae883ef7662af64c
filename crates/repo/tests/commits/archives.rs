//! `--tree=tar` beside `ostree commit --tree=tar`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt, symlink};

use trefoil_fsat::{Counters, Fs};
use trefoil_repo::commit::{
    ArchiveOptions, CommitModifier, SkipList, StatOverrides, import_archive,
};
use trefoil_repo::{MutableTree, Repo, RepoMode, TreeId};

use crate::archive_tools::{Archive, PYTHON, shell};
use crate::bench::{Bench, have_ostree, modes};
use crate::sample::{mkdir, sample, set_xattr, write};

fn plain() -> CommitModifier {
    CommitModifier::default()
}

/// Guards formats and compression: each program's archive of one tree.
#[test]
fn every_format_gives_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    for mode in modes().into_iter().filter(|mode| *mode != RepoMode::BareUserOnly) {
        let bench = Bench::new(mode);
        let root = bench.path("");
        sample(&bench.path("tree"));
        // Beyond the memory in which small files wait.
        write(&bench.path("tree"), "huge", &vec![9; 1_500_000], 0o644);
        mkdir(&bench.path("tree"), &format!("{}/{}", "d".repeat(120), "e".repeat(130)), 0o755);
        symlink("t".repeat(180), bench.path("tree/long-target")).unwrap();
        for command in [
            "tar -c --format=gnu -f $out .",
            "tar -c --format=pax -f $out .",
            "tar -cz --format=gnu -f $out .",
            "tar -cJ --format=pax -f $out ./usr .",
            "tar -c --zstd -f $out .",
            "tar -cj -f $out .",
            "find . -print0 | cpio -o -0 -H newc > $out 2>/dev/null",
            // Several members and frames, with padding that is none behind them.
            "tar -c . > $out.t; split -b 100000 $out.t $out.p; gzip $out.p*; cat $out.p* > $out; \
             rm $out.*; printf 'trailing' >> $out",
            "tar -c . > $out.t; split -b 100000 $out.t $out.p; for p in $out.p*; do \
             zstd -q --rm $p; printf '\\x50\\x2a\\x4d\\x18\\x01\\0\\0\\0x' | cat - $p.zst; done > $out; rm $out.*",
        ] {
            let _ = fs::remove_file(bench.path("a"));
            shell(&root, "tree", "a", command);
            bench.same(&["tar=a"], &[], &plain());
        }
    }
}

/// Guards the older formats, which cannot hold every name.
#[test]
fn old_formats_give_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    let tree = bench.path("tree");
    for dir in ["p".repeat(90), "q".repeat(90)] {
        mkdir(&tree, &dir, 0o755);
    }
    mkdir(&tree, &format!("{}/sub", "p".repeat(90)), 0o750);
    write(&tree, &format!("{}/sub/{}", "p".repeat(90), "f".repeat(50)), b"prefixed", 0o640);
    shell(&bench.path(""), "tree", "a", "tar -c --format=ustar -f $out .");
    bench.same(&["tar=a"], &[], &plain());
    fs::remove_dir_all(&tree).unwrap();
    mkdir(&tree, "d/e", 0o755);
    write(&tree, "d/f", b"hi", 0o4711);
    fs::hard_link(tree.join("d/f"), tree.join("d/g")).unwrap();
    symlink("f", tree.join("d/l")).unwrap();
    for command in [
        "tar -c --format=v7 -f $out .",
        "tar -c --format=oldgnu -f $out .",
        "tar -c --format=ustar -f $out .",
        "find . | cpio -o -H odc > $out 2>/dev/null",
        "find . | cpio -o -H crc > $out 2>/dev/null",
    ] {
        shell(&bench.path(""), "tree", "a", command);
        bench.same(&["tar=a"], &[], &plain());
    }
}

/// Guards attributes in pax records, binary ones with newlines and equals signs among them.
#[test]
fn attributes_give_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let tree = bench.path("tree");
    mkdir(&tree, "d", 0o755);
    write(&tree, "d/f", b"hi", 0o644);
    set_xattr(&tree, "d", "user.dir", b"a=b\n7 x=y\n");
    set_xattr(&tree, "d/f", "user.bin", b"\n\0\xff=\n");
    shell(&bench.path(""), "tree", "a", "tar -c --format=pax --xattrs -f $out .");
    let with = bench.same(&["tar=a"], &[], &plain());
    bench.same(
        &["tar=a"],
        &["--canonical-permissions"],
        &CommitModifier { canonical_permissions: true, ..plain() },
    );
    let without =
        bench.same(&["tar=a"], &["--no-xattrs"], &CommitModifier { skip_xattrs: true, ..plain() });
    assert_ne!(with.tree, without.tree);
    // libostree 2022.7 keeps the reverse of the order in the archive, which newer ones sort.
    set_xattr(&tree, "d", "user.a", b"text");
    fs::write(tree.join("d/ü"), "name").unwrap();
    shell(&bench.path(""), "tree", "a", &PYTHON.replace("user.", "user.dir"));
    bench.same(&["tar=a"], &[], &plain());
    shell(&bench.path(""), "tree", "a", "tar -c --format=pax --xattrs -f $out .");
    assert_eq!(bench.commit(&["tar=a"], &plain()).unwrap().tree, {
        bench.commit(&["tree"], &plain()).unwrap().tree
    });
}

/// Guards every map of a sparse file that GNU tar writes, with a hole at either end.
#[test]
fn sparse_files_are_whole() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    mkdir(&bench.path("tree"), "", 0o755);
    for (name, len, data) in [
        ("ends", 3 << 20, vec![1 << 20]),
        ("starts", 65_536, vec![0]),
        ("many", 4 << 20, (0..60).map(|n| n * 65_536).collect()),
        ("hole", 1 << 20, vec![]),
    ] {
        let file = fs::File::create(bench.path("tree").join(name)).unwrap();
        file.set_len(len).unwrap();
        for at in data {
            file.write_all_at(name.as_bytes(), at).unwrap();
        }
    }
    let expected = bench.commit(&["tree"], &plain()).unwrap().tree;
    for format in [
        "gnu",
        "oldgnu",
        "pax --sparse-version=0.0",
        "pax --sparse-version=0.1",
        "pax --sparse-version=1.0",
    ] {
        let command = format!("tar -cS --format={format} -f $out .");
        shell(&bench.path(""), "tree", "a", &command);
        assert!(fs::metadata(bench.path("a")).unwrap().len() < 2 << 20, "it is packed sparse");
        assert_eq!(bench.commit(&["tar=a"], &plain()).unwrap().tree, expected, "{format}");
    }
    let options = ArchiveOptions { max_hole_bytes: 1 << 20, ..Default::default() };
    let error = bench.commit_with(&["tar=a"], &plain(), &options).unwrap_err().to_string();
    assert!(error.contains("holes"), "{error}");
}

/// Guards what a tree becomes of entries that no program writes in that way.
#[test]
fn odd_archives_give_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    let file = |a: Archive, path: &str| a.file(path, path.as_bytes());
    let archives: Vec<(&str, Archive)> = vec![
        ("twice", file(Archive::new().file("f", b"1").dir("d", 0o700), "f").dir("d", 0o750)),
        ("link before target", Archive::new().link("b", "./a").file("a", b"2")),
        ("link to link", Archive::new().symlink("s", "q").link("b", "s")),
        ("links to one", Archive::new().file("a", b"1").link("c", "/a").link("b", "a")),
        ("absolute", Archive::new().file("/../../f", b"x").dir("//d//", 0o711).file("d//e", b"")),
        ("unknown type", Archive::new().entry("f", b'7', "", 0o644, b"xyz")),
        ("directory by slash", Archive::new().entry("h/", b'0', "", 0o711, b"")),
        ("bits", Archive::new().entry("f", b'0', "", 0o7777, b"x").dir("d", 0o7777)),
        ("pax name", Archive::new().records(&[("path", b"x"), ("uid", b"9")]).file("y", b"1")),
        ("pax size", {
            let records = Archive::new().records(&[("comment", b"c"), ("gid", b"3000000000")]);
            records.file("y", b"1")
        }),
        ("one attribute", Archive::new().records(&[("SCHILY.xattr.user.a", b"v")]).dir("d", 0o755)),
        (
            "of bsdtar",
            Archive::new().records(&[("LIBARCHIVE.xattr.user.%41", b"dg")]).file("d", b""),
        ),
        ("of SELinux", Archive::new().records(&[("RHT.security.selinux", b"l:t")]).file("d", b"")),
    ];
    let bench = Bench::new(RepoMode::Archive);
    for (what, archive) in archives {
        fs::write(bench.path("a"), archive.0.clone()).unwrap();
        bench.same(&["tar=a"], &[], &plain());
        fs::write(bench.path("a"), archive.end()).unwrap();
        eprintln!("{what}");
        bench.same(&["ref=main", "tar=a"], &[], &plain());
    }
}

/// Guards the options: lists by path, owners, parents that are made, translated names.
#[test]
fn options_give_libostrees_checksum() {
    if !have_ostree() {
        return;
    }
    let sources = &["ref=main", "tar=a"];
    for mode in modes() {
        let bench = Bench::new(mode);
        mkdir(&bench.path("tree"), "base/deep", 0o700);
        write(&bench.path("tree"), "base/deep/kept", b"1", 0o644);
        bench.same(&["tree"], &[], &plain());
        let archive = Archive::default()
            .file("new/dir/f", b"1")
            .dir("new/dir/sub", 0o2775)
            .file("base/deep/g", b"2")
            .file("base/x/y/skipped", b"3")
            .entry("base/x/exec", b'0', "", 0o777, b"3");
        fs::write(bench.path("a"), archive.end()).unwrap();
        fs::write(bench.path("so"), "2048 /new/dir/f\n=448 /new/dir/sub\n").unwrap();
        fs::write(bench.path("sl"), "/base/x/y/skipped\n").unwrap();
        let (so, sl) = (bench.path("so"), bench.path("sl"));
        let so = format!("--statoverride={}", so.display());
        let sl = format!("--skip-list={}", sl.display());
        let lists = || CommitModifier {
            stat_overrides: StatOverrides::parse("2048 /new/dir/f\n=448 /new/dir/sub\n").unwrap(),
            skip_list: SkipList::parse("/base/x/y/skipped\n"),
            ..plain()
        };
        let parents = ArchiveOptions { autocreate_parents: true, ..Default::default() };
        let auto = "--tar-autocreate-parents";
        // No modifier but the lists reaches `ref=main` here.
        bench.same_with(&["tar=a"], &[auto, &so, &sl], &lists(), &parents);
        bench.same_with(&["tar=a"], &[auto], &plain(), &parents);
        bench.same_with(sources, &[auto], &plain(), &parents);
        bench.same_with(
            &["tar=a"],
            &[auto, "--owner-uid=7"],
            &CommitModifier { owner_uid: Some(7), mode_ro_executables: false, ..plain() },
            &parents,
        );
        bench.same_with(
            &["tar=a"],
            &[auto, "--mode-ro-executables"],
            &CommitModifier { mode_ro_executables: true, ..plain() },
            &parents,
        );
        let translate = |path: &str| Ok(path.replace("/dir/", "/moved/"));
        let filtered = ArchiveOptions { translate: Some(&translate), ..parents };
        let filter = "--tar-pathname-filter=/dir/,/moved/";
        bench.same_with(&["tar=a"], &[auto, filter], &plain(), &filtered);
        fs::write(bench.path("a"), Archive::default().end()).unwrap();
        bench.same_with(&["tar=a"], &[auto], &plain(), &parents);
    }
}

/// Guards that whiteouts hide what was there before and nothing of their own archive, wherever
/// they stand in it.
#[test]
fn whiteouts_hide_only_what_was_before() {
    let root = tempfile::TempDir::new().unwrap();
    let repo =
        Repo::create(Fs::new().open_dir(root.path()).unwrap(), RepoMode::Archive, None).unwrap();
    let transaction = repo.begin().unwrap();
    let read = |tree: &mut MutableTree, archive: Vec<u8>, whiteouts: bool| {
        let modifier = CommitModifier { whiteouts, ..plain() };
        let options = ArchiveOptions::default();
        import_archive(&transaction, &mut &archive[..], tree, &modifier, &options).map(drop)
    };
    let base = Archive::new().dir("a", 0o755).file("a/x", b"1").file("a/y", b"1");
    let base = base.dir("b", 0o755).file("b/x", b"1").file("f", b"1").end();
    let layer = Archive::new()
        .dir("a", 0o755)
        .file("a/x", b"2")
        .file("a/.wh..wh..opq", b"")
        .file("a/z", b"2")
        .file("b/new", b"2")
        .file(".wh.f", b"")
        .file("f", b"3")
        .file("b/.wh.x", b"")
        .file("gone/.wh.x", b"")
        .end();
    let expected = Archive::new().dir("a", 0o755).file("a/x", b"2").file("a/z", b"2");
    let expected = expected.dir("b", 0o755).file("b/new", b"2").file("f", b"3").end();
    let mut over = MutableTree::new();
    read(&mut over, base.clone(), true).unwrap();
    read(&mut over, layer, true).unwrap();
    let mut plain_tree = MutableTree::new();
    read(&mut plain_tree, expected, false).unwrap();
    assert_eq!(over.write(&transaction).unwrap(), plain_tree.write(&transaction).unwrap());
    for name in [".wh.", ".wh...", "a/.wh.."] {
        let mut tree = MutableTree::new();
        read(&mut tree, base.clone(), true).unwrap();
        let error = read(&mut tree, Archive::new().file(name, b"").end(), true).unwrap_err();
        assert!(error.to_string().contains("Invalid whiteout"), "{error}");
    }
}

/// Guards that an archive over a base costs what is in it: file system calls are equal for a
/// small and a large base.
#[test]
fn an_overlay_is_flat_in_the_size_of_the_base() {
    let cost = |dirs: usize| -> Counters {
        let root = tempfile::TempDir::new().unwrap();
        let account = Fs::new();
        let repo =
            Repo::create(account.open_dir(root.path()).unwrap(), RepoMode::Archive, None).unwrap();
        (0..=255)
            .for_each(|n| fs::create_dir(root.path().join(format!("objects/{n:02x}"))).unwrap());
        let mut base = Archive::new();
        for n in 0..dirs {
            base = base.dir(&format!("d{n}"), 0o755).dir(&format!("d{n}/e"), 0o755);
            base = base.file(&format!("d{n}/e/f"), format!("{n}").as_bytes());
        }
        let overlay = Archive::new().file("d1/e/new", b"x").file("d2/e/f", b"changed").end();
        let import = |tree: &mut MutableTree, archive: Vec<u8>| -> TreeId {
            let transaction = repo.begin().unwrap();
            let options = ArchiveOptions::default();
            import_archive(&transaction, &mut &archive[..], tree, &plain(), &options).unwrap();
            let id = tree.write(&transaction).unwrap();
            transaction.commit().unwrap();
            id
        };
        let id = import(&mut MutableTree::new(), base.end());
        let before = account.counters();
        let over = import(&mut MutableTree::from_tree(id), overlay);
        assert_ne!(id, over);
        account.counters().since(&before)
    };
    let (small, large) = (cost(4), cost(150));
    // A larger root takes more reads of 16 KiB; the rest does not know of it.
    assert!(large.reads <= small.reads + 5, "{:?} {:?}", small.nonzero(), large.nonzero());
    let rest = |counters: Counters| counters.total() - counters.reads;
    assert_eq!(rest(small), rest(large), "{:?} {:?}", small.nonzero(), large.nonzero());
    assert!(large.total() < 120, "{:?}", large.nonzero());
}

/// Guards that an archive is read from a pipe, to its end.
#[test]
fn a_pipe_is_read_to_its_end() {
    let root = tempfile::TempDir::new().unwrap();
    let repo =
        Repo::create(Fs::new().open_dir(root.path()).unwrap(), RepoMode::Archive, None).unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let writing = std::thread::spawn(move || {
        let archive = [Archive::new().file("f", &[5; 200_000]).end(), vec![0; 300_000]].concat();
        archive.chunks(1000).try_for_each(|chunk| writer.write_all(chunk))
    });
    let transaction = repo.begin().unwrap();
    let (mut tree, options) = (MutableTree::new(), ArchiveOptions::default());
    import_archive(&transaction, &mut reader, &mut tree, &plain(), &options).unwrap();
    writing.join().unwrap().expect("the writer saw no broken pipe");
}
