//! Guards that writing what was read gives back the same bytes, for what we build ourselves.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use trefoil_format::checksum::{Checksum, Hasher};
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{
    Differing, DirTree, DirTreeBuf, DirTreeView, FileEntry, Pair, SubdirEntry,
};
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader, parse_content_stream};
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::name::EntryName;
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;

use crate::values::values;

/// Of each name that differs the old and the new checksums.
type Differences<const N: usize> = Vec<(String, Option<[Checksum; N]>, Option<[Checksum; N]>)>;

fn found<const N: usize>(differing: Differing<'_, N>) -> Differences<N> {
    let split = |pair: Pair<(&str, [Checksum; N])>| match pair {
        Pair::Both((name, old), (new_name, new)) => {
            assert_eq!(name, new_name);
            (name.to_string(), Some(old), Some(new))
        }
        Pair::Left((name, old)) => (name.to_string(), Some(old), None),
        Pair::Right((name, new)) => (name.to_string(), None, Some(new)),
    };
    differing.map(split).collect()
}

fn naive<const N: usize>(
    old: &BTreeMap<String, [Checksum; N]>,
    new: &BTreeMap<String, [Checksum; N]>,
) -> Differences<N> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let both = names.into_iter().map(|n| (n.clone(), old.get(n).copied(), new.get(n).copied()));
    both.filter(|(_, old, new)| old != new).collect()
}

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

    /// Guards the comparison that every diff, pull and prune relies on, beside the obvious one.
    #[test]
    fn dirtrees_differ(tree in dirtrees(), other in dirtrees(), picks in vec(0..4_u8, 30)) {
        // Half of the new tree is the old one's, some of it with other checksums.
        let picks = || picks.iter().copied().chain(std::iter::repeat(0));
        let mut new = tree.clone();
        let mut old_files = tree.files.iter().zip(picks());
        new.files.retain(|_| old_files.next().is_none_or(|(_, pick)| pick != 1));
        let mut old_dirs = tree.dirs.iter().zip(picks());
        new.dirs.retain(|_| old_dirs.next().is_none_or(|(_, pick)| pick != 1));
        new.files.iter_mut().zip(picks()).filter(|(_, pick)| *pick == 2).for_each(|(file, _)| {
            file.checksum = Checksum::of(b"new");
        });
        new.dirs.iter_mut().zip(picks()).filter(|(_, pick)| *pick == 2).for_each(|(dir, _)| {
            dir.meta = Checksum::of(b"new");
        });
        let taken = |name: &EntryName| tree.files.iter().any(|f| f.name == *name)
            || tree.dirs.iter().any(|d| d.name == *name);
        new.files.extend(other.files.into_iter().filter(|f| !taken(&f.name)));
        new.dirs.extend(other.dirs.into_iter().filter(|d| !taken(&d.name)));
        new.sort();
        let (old_bytes, new_bytes) = (tree.to_bytes(), new.to_bytes());
        let old_view = DirTreeView::parse(&old_bytes).unwrap();
        let new_view = DirTreeView::parse(&new_bytes).unwrap();
        let files = |tree: &DirTree| -> BTreeMap<String, [Checksum; 1]> {
            tree.files.iter().map(|f| (f.name.to_string(), [f.checksum])).collect()
        };
        let dirs = |tree: &DirTree| -> BTreeMap<String, [Checksum; 2]> {
            tree.dirs.iter().map(|d| (d.name.to_string(), [d.tree, d.meta])).collect()
        };
        prop_assert_eq!(found(old_view.differing_files(&new_view)), naive(&files(&tree), &files(&new)));
        prop_assert_eq!(found(old_view.differing_dirs(&new_view)), naive(&dirs(&tree), &dirs(&new)));
    }

    /// Guards the directories of a commit that changes few entries: they are copied in runs.
    #[test]
    fn dirtrees_edited(tree in dirtrees(), other in dirtrees(), picks in vec(any::<bool>(), 60)) {
        let mut picks = picks.into_iter().chain(std::iter::repeat(false));
        let (mut files, mut dirs) = (BTreeMap::new(), BTreeMap::new());
        let mut wanted = tree.clone();
        for file in other.files.into_iter().chain(tree.files.clone()).filter(|_| picks.next().unwrap()) {
            let name = file.name.to_string();
            wanted.files.retain(|f| f.name != file.name);
            if tree.dirs.iter().any(|d| d.name == file.name) || name.len() % 2 == 0 {
                files.insert(name, None);
            } else {
                files.insert(name, Some([file.checksum]));
                wanted.files.push(file);
            }
        }
        for dir in other.dirs.into_iter().chain(tree.dirs.clone()).filter(|_| picks.next().unwrap()) {
            let name = dir.name.to_string();
            wanted.dirs.retain(|d| d.name != dir.name);
            if wanted.files.iter().any(|f| f.name == dir.name) || name.len() % 2 == 0 {
                dirs.insert(name, None);
            } else {
                dirs.insert(name, Some([dir.tree, dir.meta]));
                wanted.dirs.push(dir);
            }
        }
        wanted.sort();
        for old in [Some(tree.to_bytes()), tree.is_empty().then(Vec::new)].into_iter().flatten() {
            let old = if old.is_empty() { DirTreeBuf::default() } else { DirTreeBuf::new(old).unwrap() };
            let edited = old.edited(
                files.iter().map(|(name, file)| (name.as_str(), *file)),
                dirs.iter().map(|(name, dir)| (name.as_str(), *dir)),
            );
            prop_assert_eq!(&edited, &wanted.to_bytes());
            let files: Vec<_> = files.iter().map(|(name, file)| (name.as_str(), *file)).collect();
            let dirs: Vec<_> = dirs.iter().map(|(name, dir)| (name.as_str(), *dir)).collect();
            prop_assert_eq!(&old.into_edited(&files, &dirs), &edited);
        }
    }

    /// Guards the commonest change, which is made in place: other checksums under the same names.
    #[test]
    fn dirtrees_edited_in_place(tree in dirtrees(), picks in vec(any::<bool>(), 60), sums in vec(checksums(), 60)) {
        let bytes = tree.to_bytes();
        let room = bytes.as_ptr();
        let mut wanted = tree.clone();
        let (mut files, mut dirs) = (Vec::new(), vec![("absent", None)]);
        prop_assume!(!tree.dirs.iter().any(|dir| dir.name.as_str() == "absent"));
        let mut chosen = picks.iter().zip(&sums).cycle();
        for (file, was) in wanted.files.iter_mut().zip(&tree.files) {
            if let Some((true, sum)) = chosen.next() {
                file.checksum = *sum;
                files.push((was.name.as_str(), Some([*sum])));
            }
        }
        for (dir, was) in wanted.dirs.iter_mut().zip(&tree.dirs) {
            if let Some((true, sum)) = chosen.next() {
                (dir.tree, dir.meta) = (*sum, dir.tree);
                dirs.push((was.name.as_str(), Some([dir.tree, dir.meta])));
            }
        }
        dirs.sort_by_key(|(name, _)| *name);
        let edited = DirTreeBuf::new(bytes).unwrap().into_edited(&files, &dirs);
        prop_assert_eq!(edited.as_ptr(), room, "no copy was made");
        prop_assert_eq!(&edited, &wanted.to_bytes());
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
