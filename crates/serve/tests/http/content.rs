//! Bytes, lengths, conditions and parts as they go over the wire.

use std::io::Read;

use flate2::read::DeflateDecoder;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::{ArchiveHeader, FRAME_LEN};
use trefoil_format::object::ObjectType;
use trefoil_repo::RepoMode;

use crate::support::{Lab, filez, object};

/// Bytes that do not pack, of any length.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 32);
    let mut block = Checksum::of(b"seed");
    while bytes.len() < len {
        bytes.extend_from_slice(block.as_bytes());
        block = Checksum::of(block.as_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Guards whole objects around the size of one piece, over one kept connection.
#[test]
fn objects_arrive_whole() {
    let lab = Lab::new(RepoMode::Archive);
    let server = lab.serve();
    let mut client = server.connect();
    for len in [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 1_000_000] {
        lab.put("extensions/file", &noise(len));
        let answer = client.ask("GET", "/extensions/file", &[]);
        assert!(answer.status == 200 && answer.body == noise(len), "{len}");
        let head = client.ask("HEAD", "/extensions/file", &[]);
        assert_eq!(head.header("content-length"), Some(len.to_string().as_str()));
        for name in ["etag", "last-modified", "cache-control", "accept-ranges", "content-type"] {
            assert!(head.header(name).is_some() && head.header(name) == answer.header(name));
        }
    }
    drop(client);
    let log = server.log.clone();
    server.stop();
    let total: u64 = log.lock().expect("alive").iter().map(|a| a.bytes).sum();
    assert_eq!(total, 1 + 32 * 1024 * 3 + 1_000_000);
}

/// Guards what caches are told, by kind.
#[test]
fn caching_is_told() {
    let lab = Lab::new(RepoMode::Archive);
    let stored = lab.store(b"content");
    lab.set_ref("main", &stored);
    lab.put("summary", b"s");
    lab.put("deltas/aa/b/superblock", b"d");
    let commitmeta = object(&stored, ObjectType::CommitMeta);
    lab.put(&commitmeta[1..], b"detached");
    let server = lab.serve();
    let answer = server.get(&filez(&stored));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert!(answer.header("etag").is_some_and(|tag| tag.starts_with(&format!("\"{stored}"))));
    for changing in ["/refs/heads/main", "/summary", "/config", "/deltas/aa/b/superblock", "/no"] {
        let answer = server.get(changing);
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{changing}");
    }
    let answer = server.get(&commitmeta);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-cache")));
}

/// Guards conditional requests, and that a change of content changes the tag.
#[test]
fn unchanged_is_not_sent_again() {
    let lab = Lab::new(RepoMode::Archive);
    let (one, two) = (lab.store(b"one"), lab.store(b"two"));
    lab.set_ref("main", &one);
    lab.put("summary", b"first");
    let server = lab.serve();
    for target in [filez(&one), "/refs/heads/main".into(), "/summary".into(), "/config".into()] {
        let first = server.get(&target);
        let tag = first.header("etag").expect("it has a tag");
        let again = server.get_with(&target, &[("if-none-match", tag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{target}");
        assert_eq!(again.header("etag"), Some(tag));
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        if let Some(date) = first.header("last-modified") {
            assert_eq!(server.get_with(&target, &[("if-modified-since", date)]).status, 304);
        }
    }
    let tag = |target: &str| server.get(target).header("etag").expect("a tag").to_string();
    let (old_ref, old_summary) = (tag("/refs/heads/main"), tag("/summary"));
    lab.set_ref("main", &two);
    std::fs::remove_file(lab.path("repo/summary")).expect("it is there");
    lab.put("summary", b"other");
    let moved = server.get_with("/refs/heads/main", &[("if-none-match", &old_ref)]);
    assert_eq!((moved.status, moved.text()), (200, format!("{two}\n").as_str()));
    assert_eq!(server.get_with("/summary", &[("if-none-match", &old_summary)]).status, 200);
    assert_eq!(server.get_with("/summary", &[("if-match", &old_summary)]).status, 412);
}

/// Guards the parts of a file against its bytes.
#[test]
fn parts_are_the_bytes_asked_for() {
    let lab = Lab::new(RepoMode::Archive);
    let all = noise(100_000);
    lab.put("extensions/file", &all);
    let server = lab.serve();
    let mut client = server.connect();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-70000", 5, 70_001),
        ("bytes=99999-", 99_999, 100_000),
        ("bytes=-40000", 60_000, 100_000),
        ("bytes=50000-999999999", 50_000, 100_000),
    ] {
        let answer = client.ask("GET", "/extensions/file", &[("range", range)]);
        assert!(answer.status == 206 && answer.body == all[from..to], "{range}");
        let told = format!("bytes {from}-{}/100000", to - 1);
        assert_eq!(answer.header("content-range"), Some(told.as_str()));
    }
    let beyond = client.ask("GET", "/extensions/file", &[("range", "bytes=100000-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */100000")));
    let several = client.ask("GET", "/extensions/file", &[("range", "bytes=0-1,5-6")]);
    assert!(several.status == 200 && several.body == all);
    let head = client.ask("HEAD", "/extensions/file", &[("range", "bytes=0-1")]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("100000")));
    let stale = [("range", "bytes=0-1"), ("if-range", "\"stale\"")];
    assert_eq!(client.ask("GET", "/extensions/file", &stale).status, 200);
}

/// Guards packing on the fly: the very object, whatever the size, from every mode we can write.
#[test]
fn bare_objects_are_packed() {
    let modes = match trefoil_testkit::ostree::is_root() {
        true => vec![RepoMode::Bare, RepoMode::BareUser, RepoMode::BareUserOnly],
        false => vec![RepoMode::BareUser, RepoMode::BareUserOnly],
    };
    for mode in modes {
        let lab = Lab::new(mode);
        let server = lab.serve();
        for content in [Vec::new(), b"short".to_vec(), vec![7; 3_000_000], noise(500_000)] {
            let stored = lab.store(&content);
            let answer = server.get(&filez(&stored));
            assert_eq!(answer.status, 200, "{mode}");
            assert!(answer.header("etag").is_some_and(|tag| tag.starts_with("W/")));
            let header_len = ArchiveHeader::parse_prefix(&answer.body[..FRAME_LEN]).expect("frame");
            let (framed, packed) = answer.body.split_at(FRAME_LEN + header_len);
            let (archive, _) = ArchiveHeader::parse_framed(framed).expect("a header");
            let mut unpacked = Vec::new();
            DeflateDecoder::new(packed).read_to_end(&mut unpacked).expect("it unpacks");
            assert_eq!((archive.size, unpacked.len()), (content.len() as u64, content.len()));
            assert_eq!(archive.header.checksum_of(&unpacked), stored, "{mode}");
            let tag = answer.header("etag").expect("a tag");
            assert_eq!(server.get_with(&filez(&stored), &[("if-none-match", tag)]).status, 304);
            let part = server.get_with(&filez(&stored), &[("range", "bytes=0-0")]);
            assert_eq!((part.status, part.header("accept-ranges")), (200, Some("none")));
        }
        lab.put("summary", b"says mode bare");
        assert_eq!(server.get("/summary").status, 404, "{mode}");
    }
}

/// Guards a file that is cut while it is sent: the answer breaks off, it never ends early.
#[test]
fn a_file_that_shrinks_breaks_the_answer() {
    let lab = Lab::new(RepoMode::Archive);
    let size = 64 << 20;
    lab.put("extensions/file", b"");
    let path = lab.path("repo/extensions/file");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it is there");
    file.set_len(size).expect("sparse files work");
    let server = lab.serve();
    let mut client = server.connect();
    client.send("GET", "/extensions/file", &[]);
    let mut first = [0; 4096];
    client.stream.read_exact(&mut first).expect("it began");
    file.set_len(0).expect("it can be cut");
    assert!(client.try_answer(false).is_none(), "an answer of {size} bytes cannot be whole");
    let log = server.log.clone();
    server.stop();
    let log = log.lock().expect("alive");
    assert!(log.iter().any(|a| a.problem.is_some()), "{log:?}");
}
