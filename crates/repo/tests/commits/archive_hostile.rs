//! Archives that are damaged or lie: an error, never a panic, and no more memory than there are
//! bytes.

use std::io::Read;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use trefoil_format::tar::BLOCK;
use trefoil_fsat::Fs;
use trefoil_repo::commit::{ArchiveOptions, CommitModifier, import_archive};
use trefoil_repo::{MutableTree, Repo, RepoMode, Result};

use crate::archive_tools::Archive;

/// A repository to be refused by; nothing is ever committed to it.
struct Target {
    _root: tempfile::TempDir,
    repo: Repo,
}

impl Target {
    fn new() -> Self {
        let root = tempfile::TempDir::new().unwrap();
        let dir = Fs::new().open_dir(root.path()).unwrap();
        let repo = Repo::create(dir, RepoMode::Archive, None).unwrap();
        Target { _root: root, repo }
    }

    fn import(&self, source: &mut (dyn Read + Send)) -> Result<()> {
        let transaction = self.repo.begin().unwrap();
        let options =
            ArchiveOptions { autocreate_parents: true, max_hole_bytes: 1 << 20, translate: None };
        let mut tree = MutableTree::new();
        import_archive(&transaction, source, &mut tree, &CommitModifier::default(), &options)?;
        tree.write(&transaction).map(drop)
    }
}

fn import(source: &mut (dyn Read + Send)) -> Result<()> {
    Target::new().import(source)
}

#[track_caller]
fn refused(archive: Vec<u8>, words: &str) {
    let error = import(&mut &archive[..]).expect_err(words);
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    assert!(text.contains(words), "{words}: {text}");
}

/// Guards what is refused and how it is told.
#[test]
fn hostile_archives_are_refused() {
    let new = Archive::new;
    refused(new().file("../f", b"").end(), "Invalid uplink '..'");
    refused(new().dir("a", 0o755).link("b", "a/../../x").end(), "Invalid uplink '..'");
    refused(new().file("a\\xff", b"").symlink("l", "").end(), "has no target: l");
    refused(new().symlink("l", "d").file("l/f", b"").end(), "Can't replace file with directory");
    refused(new().dir("d", 0o755).file("d", b"").end(), "Can't replace directory with file: d");
    refused(new().file("d", b"").dir("d", 0o755).end(), "Can't replace file with directory: d");
    refused(new().entry("c", b'3', "", 0, b"").end(), "Unsupported file type for path \"c\"");
    refused(new().entry("p", b'6', "", 0, b"").end(), "it is a fifo");
    refused(new().link("b", "nowhere").end(), "Processing deferred hardlink b");
    refused(new().dir("a", 0o755).link("b", "a").end(), "Processing deferred hardlink b");
    refused(Archive::default().file(".", b"x").end(), "the root of the archive");
    refused(new().file(&"n/".repeat(300), b"").end(), "nested deeper than");
    refused(new().file(&"n".repeat(256), b"").end(), "longer than 255 bytes");
    refused(new().file(&"n".repeat(5000), b"").end(), "it is too long");
    refused(b"no archive at all".to_vec(), "Unrecognized archive format");
    refused(vec![b'x'; 5000], "Unrecognized archive format");
    let archive = new().file("f", &[1; 3000]).0;
    refused(archive[..archive.len() - BLOCK].to_vec(), "truncated");
    let mut damaged = new().file("f", b"x").dir("d", 0o755).end();
    damaged[3 * BLOCK] ^= 1;
    refused(damaged, "bad header checksum");
    refused(new().records(&[("comment", b"c")]).0, "ends within a sequence of headers");
    refused(new().entry("x", b'x', "", 0, b"9999 a=b\n").end(), "not LENGTH KEY=VALUE");
    refused(new().records(&[("size", b"-1")]).file("f", b"").end(), "size is no number");
    refused(new().records(&[("uid", b"99999999999")]).file("f", b"").end(), "out of range");
    refused(new().records(&[("path", b"a\0b")]).file("f", b"").end(), "NUL");
    let map = [("GNU.sparse.size", b"9".as_slice()), ("GNU.sparse.map", b"5,1,2,1")];
    refused(new().records(&map).file("f", b"ab").end(), "out of order");
    let map = [("GNU.sparse.size", b"99999999999".as_slice()), ("GNU.sparse.map", b"0,1")];
    refused(new().records(&map).file("f", b"a").end(), "holes");
}

/// Guards that sizes are not believed: what is announced is refused, or found missing, without
/// room being made for it.
#[test]
fn announced_sizes_take_no_memory() {
    let size = 1_u64 << 40;
    for kind in *b"LKx" {
        let mut header = Archive::default().entry("x", kind, "", 0, b"").0;
        announce(&mut header, size);
        refused(header, "exceeds");
    }
    let mut file = Archive::new().file("f", b"").0;
    announce(&mut file[BLOCK..], size);
    file.resize(file.len() + 100_000, 7);
    refused(file, "truncated");
    let mut cpio = format!("070701{}", "0".repeat(104)).into_bytes();
    cpio[94..102].copy_from_slice(b"ffffffff");
    cpio.resize(600, b'n');
    refused(cpio, "exceeds");
    // A packed stream that wants a window of 2 GiB.
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3][..], &[0; 100]].concat();
    refused(zstd, "window");
}

/// Guards that packed streams are checked to their end.
#[test]
fn packed_streams_are_checked() {
    let archive = Archive::new().file("f", b"content").end();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gzip, &archive).unwrap();
    let packed = gzip.finish().unwrap();
    import(&mut &packed[..]).expect("it is whole");
    let mut wrong = packed.clone();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    refused(wrong, "corrupt");
    let mut layers = archive;
    for _ in 0..8 {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut gzip, &layers).unwrap();
        layers = gzip.finish().unwrap();
    }
    refused(layers, "packed too many times over");
}

/// Writes a size in base 256 and sets the checksum right.
fn announce(header: &mut [u8], size: u64) {
    header[124] = 0x80;
    header[125..128].fill(0);
    header[128..136].copy_from_slice(&size.to_be_bytes());
    repair(header);
}

fn repair(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn specimen(which: usize) -> Vec<u8> {
    let long = "l".repeat(150);
    match which {
        0 => Archive::new()
            .dir("d", 0o755)
            .file(&long, b"1")
            .link("h", &long)
            .symlink("s", "x")
            .end(),
        1 => {
            let sparse = [
                ("GNU.sparse.major", b"1".as_slice()),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"real"),
                ("GNU.sparse.realsize", b"3000"),
            ];
            let mut content = b"2\n0\n3\n1000\n4\n".to_vec();
            content.resize(BLOCK, 0);
            content.extend(b"abcdefg");
            let archive = Archive::new().records(&sparse).file("s", &content);
            archive.records(&[("SCHILY.xattr.user.a", b"v"), ("path", b"p")]).dir("q", 0o755).end()
        }
        _ => {
            let entry = |name: &str, mode: u32, ino: u32, links: u32, content: &str| {
                let (name, size) = (format!("{name}\0"), content.len());
                let head = format!(
                    "070701{ino:08X}{mode:08X}{:08X}{:08X}{links:08X}{:08X}{size:08X}{:08X}{:08X}\
                     {:08X}{:08X}{:08X}{:08X}{name}",
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    name.len(),
                    0
                );
                let padded = head.len().next_multiple_of(4);
                let whole = format!("{head:\0<padded$}{content}");
                let padded = whole.len().next_multiple_of(4);
                format!("{whole:\0<padded$}").into_bytes()
            };
            let entries = [
                entry(".", 0o040_755, 1, 2, ""),
                entry("a", 0o100_644, 2, 2, ""),
                entry("b", 0o100_644, 2, 2, "data"),
                entry("s", 0o120_777, 3, 1, "a"),
                entry("TRAILER!!!", 0, 0, 1, ""),
            ];
            entries.concat()
        }
    }
}

/// Guards that the specimens are whole, so that the mutations below begin with something.
#[test]
fn specimens_are_whole() {
    (0..3).for_each(|which| import(&mut &specimen(which)[..]).expect("it is whole"));
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)
}

/// Any change, with the checksums of headers set right or not: no panic, and an end.
#[test]
fn mutated_archives_do_no_harm() {
    let target = Target::new();
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() };
    let cut = proptest::option::of(any::<prop::sample::Index>());
    let cases = (0usize..3, changes(), cut, any::<bool>());
    let run = proptest::test_runner::TestRunner::new(config).run(&cases, |case| {
        let (which, changes, cut, repaired) = case;
        let mut bytes = specimen(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
            let block = at / BLOCK * BLOCK;
            let is_header = bytes.get(block + 257..block + 262) == Some(b"ustar");
            if repaired && is_header {
                repair(&mut bytes[block..]);
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = target.import(&mut &bytes[..]);
        Ok(())
    });
    run.unwrap();
}
