//! Guards that no bytes and no text make a reader panic, and that whatever a reader accepts is
//! written back bit for bit: there is one form of each object.

use proptest::collection::vec;
use proptest::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{DirTree, FileEntry, SubdirEntry};
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader};
use trefoil_format::gvariant::{Metadata, Type, Value};
use trefoil_format::name::{EntryName, Refspec};
use trefoil_format::xattrs::Xattrs;

use crate::values::{types, values};

/// One change to the input.
#[derive(Debug, Clone)]
pub enum Edit {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    use prop::sample::Index;
    // Small numbers look like offsets and padding, so they reach further in.
    let byte = prop_oneof![any::<u8>(), 0..4_u8];
    let edit = prop_oneof![
        6 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        1 => any::<Index>().prop_map(Edit::Remove),
        1 => (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        1 => any::<Index>().prop_map(Edit::Cut),
    ];
    vec(edit, 0..4)
}

pub fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        match edit {
            Edit::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Edit::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Edit::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Edit::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

fn xattrs() -> Xattrs {
    let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Xattrs::new(vec![pair("user.a", "1"), pair("security.selinux", "system_u:object_r:etc_t:s0\0")])
}

fn dirtree() -> DirTree {
    let name = |name| EntryName::new(name).expect("a good name");
    let sum = |text: &str| Checksum::of(text.as_bytes());
    let file = |text| FileEntry { name: name(text), checksum: sum(text) };
    let dir = |text| SubdirEntry { name: name(text), tree: sum(text), meta: sum("meta") };
    DirTree { files: vec![file("a"), file("c"), file("e")], dirs: vec![dir("b"), dir("d")] }
}

fn header() -> FileHeader {
    let symlink_target = Some("../target".to_owned());
    FileHeader { uid: 1, gid: 2, mode: 0o120_777, symlink_target, xattrs: xattrs() }
}

fn commit() -> Commit {
    let mut metadata = Metadata::new();
    metadata.set("version", "1");
    metadata.set("ostree.ref-binding", Value::strings(["main"]));
    let sum = Checksum::of(b"root");
    Commit {
        metadata,
        parent: Some(sum),
        related: vec![("x".to_owned(), sum)],
        subject: "subject".to_owned(),
        body: "body".to_owned(),
        timestamp: 1_700_000_000,
        root_tree: sum,
        root_meta: sum,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn variants(value in values(), edits in edits()) {
        let bytes = edited(value.to_bytes(), &edits);
        if let Ok(read) = Value::parse(&value.ty(), &bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_as_any_type(ty in types(), bytes in vec(any::<u8>(), 0..40)) {
        if let Ok(read) = Value::parse(&ty, &bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn metadata_objects(edits in edits()) {
        let bytes = edited(dirtree().to_bytes(), &edits);
        if let Ok(read) = DirTree::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
        let meta = DirMeta { uid: 1, gid: 2, mode: 0o040_755, xattrs: xattrs() };
        let bytes = edited(meta.to_bytes(), &edits);
        if let Ok(read) = DirMeta::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
        let bytes = edited(commit().to_bytes(), &edits);
        if let Ok(read) = Commit::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
        let bytes = edited(xattrs().to_bytes(), &edits);
        if let Ok(read) = Xattrs::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn file_headers(edits in edits()) {
        let bytes = edited(header().to_bytes(), &edits);
        if let Ok(read) = FileHeader::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
        // The next two accept attributes in any order, so only panics count.
        let archive = ArchiveHeader { size: 3, header: header() };
        let _ = ArchiveHeader::parse_framed(&edited(archive.to_bytes(), &edits));
        let _ = BareUserMeta::parse(&edited(BareUserMeta::from(&header()).to_bytes(), &edits));
    }

    #[test]
    fn texts(text in "\\PC{0,40}|[\\[\\](){}<>@ab'\"\\\\0-9,: usiv-]{0,40}") {
        if let Ok(value) = Value::parse_text(&text) {
            let again = Value::parse_text(&value.print(true)).unwrap();
            prop_assert_eq!(again.to_bytes(), value.to_bytes());
        }
        let _ = Type::parse(&text);
        let _ = Refspec::parse(&text);
        let _ = Checksum::from_hex(&text);
        let _ = Checksum::from_base64(&text);
    }

    #[test]
    fn edited_texts(value in values(), edits in edits()) {
        let bytes = edited(value.print(true).into_bytes(), &edits);
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Value::parse_text(&text);
        }
    }
}
