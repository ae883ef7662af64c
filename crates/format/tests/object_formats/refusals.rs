//! Guards what has to be refused, each with the words a person needs to find the cause.

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{DirTree, DirTreeView};
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader};
use trefoil_format::gvariant::{Type, Value};
use trefoil_format::object::ObjectName;
use trefoil_format::xattrs::Xattrs;

/// Serialises a text form as the given type, to make objects our own types cannot hold.
fn bytes(ty: &str, text: &str) -> Vec<u8> {
    let value = Value::parse_text(&format!("@{ty} {text}")).expect("a valid text form");
    assert_eq!(value.ty().to_string(), ty);
    value.to_bytes()
}

fn sum(fill: u8) -> String {
    format!("[{}]", vec![fill.to_string(); 32].join(", "))
}

fn file(name: &str) -> String {
    format!("('{name}', {})", sum(1))
}

fn dir(name: &str) -> String {
    format!("('{name}', {}, {})", sum(1), sum(2))
}

fn tree(files: &[String], dirs: &[String]) -> Vec<u8> {
    let text = format!("([{}], [{}])", files.join(", "), dirs.join(", "));
    bytes("(a(say)a(sayay))", &text)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, trefoil_format::error::FormatError>, words: &str) {
    let message = result.expect_err("must be refused").to_string();
    assert!(message.contains(words), "{message:?} lacks {words:?}");
}

#[test]
fn dirtree_names_that_leave_the_directory() {
    assert!(DirTree::parse(&tree(&[file("a")], &[dir("b")])).is_ok());
    let long = "x".repeat(256);
    for (name, words) in [
        ("", "empty filename"),
        (".", "Invalid self-referential filename ."),
        ("..", "Invalid path uplink filename .."),
        ("../afile", "Invalid / in filename ../afile"),
        ("a/b", "Invalid / in filename a/b"),
        (long.as_str(), "longer than 255 bytes"),
    ] {
        refused(DirTree::parse(&tree(&[file(name)], &[])), words);
        refused(DirTree::parse(&tree(&[], &[dir(name)])), words);
    }
    let mut not_utf8 = tree(&[file("aX")], &[]);
    not_utf8[1] = 0xff;
    refused(DirTree::parse(&not_utf8), "Invalid UTF-8 in filename");
}

#[test]
fn dirtree_order_and_duplicates() {
    for (files, dirs, words) in [
        (vec![file("b"), file("a")], vec![], "a follows b"),
        (vec![file("a"), file("a")], vec![], "a follows a"),
        (vec![], vec![dir("b"), dir("a")], "a follows b"),
        (vec![], vec![dir("a"), dir("a")], "a follows a"),
        (vec![file("a"), file("c")], vec![dir("b"), dir("c")], "c is both"),
        // Bytes decide, not letters.
        (vec![file("a"), file("B")], vec![], "B follows a"),
    ] {
        refused(DirTreeView::parse(&tree(&files, &dirs)).map(|view| view.len()), words);
    }
}

#[test]
fn dirtree_checksums_of_a_wrong_length() {
    refused(DirTree::parse(&tree(&["('a', [1])".to_owned()], &[])), "length 1 expected 32");
    refused(DirTree::parse(&tree(&["('a', @ay [])".to_owned()], &[])), "length 0 expected 32");
    let long = format!("('a', {}, {})", sum(1), sum(2).replace(']', ", 3]"));
    refused(DirTree::parse(&tree(&[], &[long])), "length 33 expected 32");
    refused(DirTree::parse(b""), "dirtree is not in normal form: at byte 0");
    assert!(DirTree::parse(b"\0").unwrap().is_empty());
}

fn dirmeta(mode: u32, xattrs: &str) -> Vec<u8> {
    let mode = mode.swap_bytes();
    bytes("(uuua(ayay))", &format!("(0, 0, {mode}, {xattrs})"))
}

#[test]
fn modes_of_the_wrong_type() {
    assert!(DirMeta::parse(&dirmeta(0o041_777, "[]")).is_ok());
    for mode in [0o100_644, 0o120_777, 0o755, 0o060_000] {
        refused(DirMeta::parse(&dirmeta(mode, "[]")), "wrong type of file");
    }
    refused(DirMeta::parse(&dirmeta(0o1_040_755, "[]")), "invalid bits in mode");
    assert!(BareUserMeta::parse(&dirmeta(0o100_644, "[]")).is_ok());
    refused(BareUserMeta::parse(&dirmeta(0o040_755, "[]")), "wrong type of file");
}

#[test]
fn attributes_out_of_order() {
    let list = |names: &[&str]| {
        let items: Vec<String> = names.iter().map(|name| format!("({name}, [1])")).collect();
        format!("[{}]", items.join(", "))
    };
    let parse = |names: &[&str]| DirMeta::parse(&dirmeta(0o040_755, &list(names)));
    assert_eq!(parse(&["b'a'", "b'b'"]).unwrap().xattrs.get("b"), Some(&[1][..]));
    refused(parse(&["b'b'", "b'a'"]), "Incorrectly sorted xattr name (prev=b, cur=a)");
    refused(parse(&["b'a'", "b'a'"]), "Duplicate xattr name a");
    refused(parse(&["b''"]), "Invalid xattr name (empty or missing NUL) index=0");
    refused(parse(&["[97]"]), "empty or missing NUL");
    refused(parse(&["[97, 0, 98, 0]"]), "empty or missing NUL");
    refused(parse(&["@ay []"]), "empty or missing NUL");
    // In bare-user repositories any order is read, but no name twice.
    let unsorted = BareUserMeta::parse(&dirmeta(0o100_644, &list(&["b'b'", "b'a'"]))).unwrap();
    let sorted = Xattrs::new(vec![(b"a".to_vec(), vec![1]), (b"b".to_vec(), vec![1])]);
    assert_eq!(unsorted.xattrs, sorted);
    refused(BareUserMeta::parse(&dirmeta(0o100_644, &list(&["b'a'", "b'a'"]))), "Duplicate");
}

#[test]
fn file_headers_that_contradict_themselves() {
    let header = |mode: u32, rdev: u32, target: &str| {
        let mode = mode.swap_bytes();
        bytes("(uuuusa(ayay))", &format!("(0, 0, {mode}, {rdev}, '{target}', [])"))
    };
    assert!(FileHeader::parse(&header(0o100_644, 0, "")).unwrap().is_regular());
    assert!(FileHeader::parse(&header(0o120_777, 0, "x")).unwrap().is_symlink());
    refused(FileHeader::parse(&header(0o100_644, 1, "")), "invalid rdev");
    refused(FileHeader::parse(&header(0o100_644, 0, "x")), "symlink target");
    refused(FileHeader::parse(&header(0o040_755, 0, "")), "wrong type of file");
    refused(FileHeader::parse(&header(0o020_644, 0, "")), "wrong type of file");
}

#[test]
fn frames_that_lie() {
    refused(ArchiveHeader::parse_prefix(b"\0\0\0\x05"), "shorter than its frame");
    refused(ArchiveHeader::parse_prefix(b"\0\0\0\0\0\0\0\0"), "header size is zero");
    refused(ArchiveHeader::parse_prefix(b"\xff\xff\xff\xff\0\0\0\0"), "exceeds the limit");
    refused(ArchiveHeader::parse_prefix(b"\0\0\0\x05\0\0\0\x01"), "padding");
    refused(ArchiveHeader::parse_framed(b"\0\0\0\x05\0\0\0\0abcd"), "header size 5 exceeds");
    assert_eq!(ArchiveHeader::parse_prefix(b"\0\0\x01\x05\0\0\0\0").unwrap(), 261);
}

#[test]
fn commits_without_what_they_need() {
    let commit = |metadata: &str, parent: &str, tree: &str| {
        let text = format!("({metadata}, {parent}, [], 's', 'b', 5, {tree}, {})", sum(2));
        bytes("(a{sv}aya(say)sstayay)", &text)
    };
    let good = Commit::parse(&commit("{}", "[]", &sum(1))).unwrap();
    assert_eq!((good.parent, good.timestamp), (None, 5 << 56));
    refused(Commit::parse(&commit("{'': <1>}", "[]", &sum(1))), "Empty metadata key");
    refused(Commit::parse(&commit("{}", "[1]", &sum(1))), "length 1 expected 32");
    refused(Commit::parse(&commit("{}", "[]", "[]")), "length 0 expected 32");
}

/// Guards each rule of the normal form.
#[test]
fn variants_not_in_normal_form() {
    for (ty, input, words) in [
        ("b", &b"\x02"[..], "0 or 1"),
        ("u", b"\0\0\0", "right size"),
        ("s", b"", "NUL at the end"),
        ("s", b"a", "NUL at the end"),
        ("s", b"a\0b\0", "no NUL inside"),
        ("s", b"\xff\0", "UTF-8"),
        ("o", b"a\0", "object path"),
        ("g", b"m\0", "signature"),
        ("()", b"\x01", "one zero byte"),
        ("()", b"", "one zero byte"),
        ("v", b"", "variant"),
        ("v", b"\x01\0", "type string"),
        ("v", b"\x01\0*", "type string"),
        ("v", b"\x01\0yy", "type string"),
        ("ms", b"a\0\x01", "NUL behind a maybe"),
        ("my", b"ab", "right size"),
        ("au", b"\0\0\0", "whole elements"),
        ("as", b"a\0\x03", "table of offsets"),
        ("as", b"a\0\x02\x01", "NUL at the end"),
        ("as", b"a\0b\0\x04\x04", "no NUL inside"),
        ("as", b"a\0b\0\x02\x01\x04", "ascending offsets"),
        ("(yu)", b"\x01\0\x01\0\x05\0\0\0", "padding of zero bytes"),
        ("(uy)", b"\x01\0\0\0\x05\0\0\x01", "padding of zero bytes"),
        ("(uy)", b"\x01\0\0\0\x05\0\0", "padding within"),
        ("(uy)", b"\x01\0\0\0\x05\0\0\0\0", "the end of the tuple"),
        ("(ss)", b"a\0b\0\x05", "ascending offsets"),
        ("(ss)", b"a\0b\0", "NUL at the end"),
        ("(ss)", b"", "an offset for each"),
        ("(sy)", b"a\0x\0\x02", "the end of the tuple"),
    ] {
        let ty = Type::parse(ty).unwrap();
        refused(Value::parse(&ty, input), words);
    }
    // 254 bytes and one offset of two bytes, where one byte would do.
    let mut wide = vec![b'a'; 253];
    wide.extend_from_slice(&[0, 254, 0]);
    refused(Value::parse(&Type::parse("as").unwrap(), &wide), "smallest width");
}

#[test]
fn checksums_in_another_form() {
    let good = "a".repeat(64);
    assert!(Checksum::from_hex(&good).is_ok());
    for bad in ["", "a", &good[1..], &format!("{good}a"), &good.to_uppercase(), &"g".repeat(64)] {
        refused(Checksum::from_hex(bad), "Invalid rev");
    }
    refused(Checksum::from_hex(&"<p>\n".repeat(100)), "Invalid rev <p> <p> ");
    for bad in ["", &"/".repeat(43), &"A".repeat(44), &format!("{}B", "A".repeat(42))] {
        refused(Checksum::from_base64(bad), "Invalid rev");
    }
    for bad in ["commit", "x.commit", &format!("{good}.blob"), &format!("{good}.commit.x")] {
        assert!(bad.parse::<ObjectName>().is_err(), "{bad}");
    }
}

#[test]
fn types_that_are_none() {
    for bad in
        ["", "*", "r", "?", "ii", "a", "m", "(", "(i", "{", "{si", "{vs}", "{asi}", "{s}", "z"]
    {
        refused(Type::parse(bad), "Invalid variant type");
    }
}

/// A string of a variant holds no NUL, and a text with one must not make one.
#[test]
fn a_nul_in_a_text() {
    for text in ["'a\0b'", "{\"a\0\": <1>}", "b'\0'", "1\0"] {
        refused(Value::parse_text(text), "NUL");
    }
}
