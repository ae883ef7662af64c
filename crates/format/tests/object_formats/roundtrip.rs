//! Guards that writing what was read gives back the same bytes, for what we build ourselves.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use trefoil_format::checksum::{Checksum, Hasher};
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{DirTree, DirTreeView, FileEntry, SubdirEntry};
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader, parse_content_stream};
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::name::EntryName;
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;

use crate::values::values;

fn checksums() -> impl Strategy<Value = Checksum> + Clone {
    any::<[u8; 32]>().prop_map(Checksum::from_bytes)
}

fn xattrs() -> impl Strategy<Value = Xattrs> {
    vec((vec(1_u8.., 1..30), vec(any::<u8>(), 0..300)), 0..5).prop_map(Xattrs::new)
}

prop_compose! {
    fn dirtrees()(
        names in btree_map("[a-z.\u{e4}\u{df}-]{1,6}|[a-z]{200,255}", (any::<bool>(), checksums(), checksums()), 0..30)
    ) -> DirTree {
        let mut tree = DirTree::default();
        for (name, (is_dir, first, second)) in names {
            let Ok(name) = EntryName::new(&name) else { continue };
            if is_dir {
                tree.dirs.push(SubdirEntry { name, tree: first, meta: second });
            } else {
                tree.files.push(FileEntry { name, checksum: first });
            }
        }
        tree
    }
}

prop_compose! {
    fn headers()(
        uid: u32, gid: u32, permissions in 0..0o10000_u32,
        target in prop::option::of("[a-z/]{0,300}"), xattrs in xattrs()
    ) -> FileHeader {
        let kind = if target.is_some() { 0o120_000 } else { 0o100_000 };
        FileHeader { uid, gid, mode: kind | permissions, symlink_target: target, xattrs }
    }
}

prop_compose! {
    fn commits()(
        metadata in btree_map("[a-z.]{1,9}", values(), 0..5),
        parent in prop::option::of(checksums()),
        related in vec(("[a-z]{0,5}", checksums()), 0..3),
        subject in "\\PC{0,20}", body in "\\PC{0,300}",
        timestamp: u64, root_tree in checksums(), root_meta in checksums()
    ) -> Commit {
        let metadata = Metadata(metadata.into_iter().collect());
        Commit { metadata, parent, related, subject, body, timestamp, root_tree, root_meta }
    }
}

proptest! {
    #[test]
    fn values_survive_bytes_and_text(value in values()) {
        let bytes = value.to_bytes();
        prop_assert_eq!(&Value::parse(&value.ty(), &bytes).unwrap(), &value);
        prop_assert_eq!(Value::parse_text(&value.print(true)).unwrap().to_bytes(), bytes);
        // Bits are compared, since a swapped number may be a NaN.
        prop_assert_eq!(value.byteswapped().byteswapped().to_bytes(), value.to_bytes());
    }

    #[test]
    fn dirtrees_survive(tree in dirtrees()) {
        let bytes = tree.to_bytes();
        prop_assert_eq!(&DirTree::parse(&bytes).unwrap(), &tree);
        let view = DirTreeView::parse(&bytes).unwrap();
        prop_assert_eq!(view.len(), tree.files.len() + tree.dirs.len());
        for file in &tree.files {
            prop_assert_eq!(view.find_file(&file.name), Some(file.checksum));
            prop_assert_eq!(view.find_dir(&file.name), None);
        }
        for dir in &tree.dirs {
            prop_assert_eq!(view.find_dir(&dir.name), Some((dir.tree, dir.meta)));
        }
        prop_assert_eq!(view.find_file("zzz-not-there"), None);
    }

    #[test]
    fn headers_survive(header in headers(), size: u64, content in vec(any::<u8>(), 0..20)) {
        prop_assert_eq!(&FileHeader::parse(&header.to_bytes()).unwrap(), &header);
        let mut stream = header.framed();
        stream.extend_from_slice(&content);
        prop_assert_eq!(parse_content_stream(&stream).unwrap(), (header.clone(), &*content));
        prop_assert_eq!(header.checksum_of(&content), Checksum::of(&stream));

        let archive = ArchiveHeader { size, header: header.clone() };
        let framed = archive.to_bytes();
        prop_assert_eq!(ArchiveHeader::parse_prefix(&framed[..8]).unwrap(), framed.len() - 8);
        prop_assert_eq!(ArchiveHeader::parse_framed(&framed).unwrap(), (archive, &[][..]));

        let meta = BareUserMeta::from(&header);
        prop_assert_eq!(&BareUserMeta::parse(&meta.to_bytes()).unwrap(), &meta);
        prop_assert_eq!(meta.into_header(header.symlink_target.clone()), header);
    }

    #[test]
    fn dirmetas_survive(uid: u32, gid: u32, permissions in 0..0o10000_u32, xattrs in xattrs()) {
        let meta = DirMeta { uid, gid, mode: 0o040_000 | permissions, xattrs };
        prop_assert_eq!(DirMeta::parse(&meta.to_bytes()).unwrap(), meta);
    }

    #[test]
    fn commits_survive(commit in commits()) {
        prop_assert_eq!(Commit::parse(&commit.to_bytes()).unwrap(), commit);
    }

    #[test]
    fn checksums_survive_their_text_forms(checksum in checksums()) {
        let hex = checksum.to_string();
        prop_assert_eq!(hex.len(), 64);
        prop_assert_eq!(hex.parse::<Checksum>().unwrap(), checksum);
        let base64 = checksum.to_base64();
        prop_assert!(base64.len() == 43 && !base64.contains('/'));
        prop_assert_eq!(Checksum::from_base64(&base64).unwrap(), checksum);
        for kind in ObjectType::ALL {
            let name = ObjectName::new(checksum, kind);
            prop_assert_eq!(name.to_string().parse::<ObjectName>().unwrap(), name);
            let path = LoosePath::new(&name, false);
            prop_assert_eq!(&*path, format!("{}/{}", path.folder(), path.file_name()));
            prop_assert_eq!(path.replace('/', ""), name.to_string());
            let archived = LoosePath::new(&name, true);
            prop_assert_eq!(archived.ends_with('z'), !kind.is_metadata());
        }
    }
}

/// Guards the widths of offsets around the sizes where they change.
#[test]
fn offsets_widen_where_they_must() {
    let many = |count: usize, name_len: usize| {
        let mut tree = DirTree::default();
        for index in 0..count {
            let name = EntryName::new(&format!("{index:0name_len$}")).unwrap();
            tree.files.push(FileEntry { name, checksum: Checksum::of(&index.to_le_bytes()) });
        }
        tree
    };
    for (count, name_len) in (1..8).map(|n| (n, 9)).chain((200..235).map(|len| (1, len))) {
        let tree = many(count, name_len);
        assert_eq!(DirTree::parse(&tree.to_bytes()).unwrap(), tree, "{count} {name_len}");
    }
    for count in (1480..1500).chain([70_000]) {
        let tree = many(count, 9);
        assert_eq!(DirTree::parse(&tree.to_bytes()).unwrap(), tree, "{count}");
    }
}

#[test]
fn hashing_in_pieces_is_hashing_the_whole() {
    use std::io::Write as _;
    let mut hasher = Hasher::new();
    hasher.update(b"ab");
    let mut other = hasher.clone();
    other.write_all(b"c").unwrap();
    assert_eq!(other.finish(), Checksum::of(b"abc"));
    assert_eq!(hasher.finish(), Checksum::of(b"ab"));
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Hasher::new().finish().to_hex(), empty);
}

/// Guards what the tools rely on when they edit metadata.
#[test]
fn metadata_keeps_its_order() {
    let mut metadata = Metadata::new();
    metadata.set("b", "one");
    metadata.set("a", 2_u32);
    metadata.set("b", Value::strings(["x", "y"]));
    assert_eq!(metadata.to_value().print(true), "{'b': <['x', 'y']>, 'a': <uint32 2>}");
    assert_eq!(Metadata::parse(&metadata.to_bytes()).unwrap(), metadata);
    assert_eq!(metadata.get("b").unwrap().as_strings(), Some(vec!["x", "y"]));
    assert_eq!(metadata.remove("b"), Some(Value::strings(["x", "y"])));
    assert_eq!((metadata.get("b"), metadata.get_str("a")), (None, None));
    assert!(Metadata::parse(b"").unwrap().is_empty());
}
