//! Guards that every object the real `ostree` writes is read, and written back bit for bit.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{DirTree, DirTreeView};
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader};
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;

use crate::tools::{have, ostree};

/// A tree with what is hard: names around the widths of offsets, many entries, links, modes,
/// attributes, nothing. From 1600 entries on a dirtree needs offsets of four bytes.
fn build_tree(root: &Path, many: u32) {
    let write = |path: &str, content: &[u8]| fs::write(root.join(path), content).unwrap();
    for folder in ["etc", "empty", "many", "long", "deep/er/still", "\u{fc}mlaut"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    write("etc/passwd", b"root:x:0:0\n");
    write("etc/empty", b"");
    write("\u{fc}mlaut/\u{e4} \u{20ac}", "\u{e4}".as_bytes());
    write("deep/er/still/big", &[b'x'; 100_000]);
    (0..many).for_each(|n| write(&format!("many/file-{n}"), n.to_string().as_bytes()));
    for len in [1, 100, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224, 255] {
        write(&format!("long/{}", "n".repeat(len)), b"long");
        fs::create_dir(root.join(format!("long/{}", "d".repeat(len)))).unwrap();
    }
    symlink("etc/passwd", root.join("link")).unwrap();
    symlink("x".repeat(300), root.join("etc/dangling")).unwrap();
    write("etc/suid", b"suid");
    let mode = |path: &str, mode| {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("etc/suid", 0o4755);
    mode("empty", 0o1777);
    write("etc/attributes", b"attributes");
    for path in ["etc/attributes", "deep"] {
        set_xattr(&root.join(path), "user.z", b"last");
        set_xattr(&root.join(path), "user.a", &[0, 1, 255]);
        set_xattr(&root.join(path), "user.empty", b"");
    }
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

fn get_xattr(path: &Path, name: &str) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = rustix::fs::getxattr(path, name, &mut buffer[..]).unwrap();
    buffer.truncate(len);
    buffer
}

/// Commits the tree twice and returns the repository and the second commit.
fn build_repo(folder: &Path, mode: &str) -> (PathBuf, Checksum) {
    let (tree, repo) = (folder.join("tree"), folder.join(mode));
    ostree(&repo, &["init", &format!("--mode={mode}")]);
    ostree(&repo, &["config", "set", "core.fsync", "false"]);
    let tree = format!("--tree=dir={}", tree.display());
    ostree(&repo, &["commit", "-b", "main", "-s", "first", "--timestamp=2020-01-02", &tree]);
    let arguments = [
        "commit",
        "-b",
        "main",
        "-s",
        "\u{fc}n\u{ef}code subject",
        "--body=two\nlines",
        &tree,
        "--add-metadata-string=version=42.1",
        "--add-metadata=n=uint32 5",
        "--add-metadata=list=[1, 2]",
        "--add-metadata=dict={'a': <1>, 'b': <('x', byte 3)>}",
        "--add-metadata=maybe=@mmi just nothing",
        "--add-metadata=bytes=b'x\\377'",
        "--bind-ref=other/ref",
        "--generate-sizes",
        "--add-detached-metadata-string=detached=yes",
    ];
    let checksum = ostree(&repo, &arguments);
    (repo, Checksum::from_hex(checksum.trim()).unwrap())
}

/// Returns every loose object with its path, without the `z` of archives.
fn objects(repo: &Path) -> Vec<(ObjectName, PathBuf)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(repo.join("objects")).unwrap() {
        let folder = folder.unwrap().path();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let prefix = folder.file_name().unwrap().to_str().unwrap();
            let rest = path.file_name().unwrap().to_str().unwrap();
            let name = format!("{prefix}{}", rest.replace(".filez", ".file"));
            let name: ObjectName = name.parse().unwrap();
            let loose = LoosePath::new(&name, rest.ends_with("filez"));
            assert!(path.ends_with(&*loose), "{path:?} {loose}");
            found.push((name, path));
        }
    }
    assert!(found.len() > 50);
    found
}

fn check_metadata(name: ObjectName, data: &[u8]) {
    let again = match name.kind {
        ObjectType::DirTree => {
            let tree = DirTree::parse(data).unwrap();
            let view = DirTreeView::parse(data).unwrap();
            assert!(view.files().map(|(name, _)| name).eq(tree.files.iter().map(|f| &*f.name)));
            assert_eq!(tree.checksum(), name.checksum);
            tree.to_bytes()
        }
        ObjectType::DirMeta => DirMeta::parse(data).unwrap().to_bytes(),
        ObjectType::Commit => Commit::parse(data).unwrap().to_bytes(),
        ObjectType::CommitMeta => {
            let metadata = Metadata::parse(data).unwrap();
            assert_eq!(metadata.get_str("detached"), Some("yes"));
            assert_eq!(metadata.to_bytes(), data);
            return;
        }
        other => panic!("unexpected {other}"),
    };
    assert_eq!(again, data, "{name}");
    assert_eq!(Checksum::of(&again), name.checksum);
}

#[test]
fn archive_objects() {
    if !have("ostree", "archive_objects") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    build_tree(&folder.path().join("tree"), 1600);
    let (repo, head) = build_repo(folder.path(), "archive");
    let mut attributes = 0;
    for (name, path) in objects(&repo) {
        let data = fs::read(path).unwrap();
        if name.kind != ObjectType::File {
            check_metadata(name, &data);
            continue;
        }
        let (archive, compressed) = ArchiveHeader::parse_framed(&data).unwrap();
        let mut content = Vec::new();
        if archive.header.is_regular() {
            flate2::read::DeflateDecoder::new(compressed).read_to_end(&mut content).unwrap();
        }
        assert_eq!(content.len() as u64, archive.size, "{name}");
        assert_eq!(archive.header.checksum_of(&content), name.checksum, "{name}");
        let header = archive.to_bytes();
        assert_eq!(header, data[..header.len()], "{name}");
        attributes += usize::from(archive.header.xattrs.len() == 2);
    }
    assert_eq!(attributes, 1, "the file with attributes was met");
    check_commit(&repo, head);
}

/// Guards the texts scripts read from `ostree show`.
fn check_commit(repo: &Path, head: Checksum) {
    let name = ObjectName::new(head, ObjectType::Commit);
    let data = fs::read(repo.join("objects").join(&*LoosePath::new(&name, true))).unwrap();
    let commit = Commit::parse(&data).unwrap();
    assert_eq!(
        (commit.subject.as_str(), commit.body.as_str()),
        ("\u{fc}n\u{ef}code subject", "two\nlines")
    );
    assert_eq!(commit.version(), Some("42.1"));
    assert_eq!(commit.ref_bindings(), Some(vec!["main", "other/ref"]));
    let parent = ostree(repo, &["rev-parse", "main^"]);
    assert_eq!(commit.parent.unwrap().to_hex(), parent.trim());
    let shown = ostree(repo, &["show", "main"]);
    assert!(shown.contains(&format!("ContentChecksum:  {}", commit.content_checksum())), "{shown}");
    let raw = ostree(repo, &["show", "--raw", "main"]);
    let (_, raw) = raw.split_once('\n').unwrap();
    assert_eq!(raw.trim_end(), commit.to_value().byteswapped().print(true));
    for (key, value) in commit.metadata.iter() {
        let argument = format!("--print-metadata-key={key}");
        let shown = ostree(repo, &["show", &argument, "main"]);
        assert_eq!(shown.trim_end_matches('\n'), value.byteswapped().print(true), "{key}");
    }
    let n = Value::parse_text("uint32 5").unwrap();
    assert_eq!(commit.metadata.get("n"), Some(&n));
}

#[test]
fn bare_user_objects() {
    if !have("ostree", "bare_user_objects") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    build_tree(&folder.path().join("tree"), 30);
    let (repo, _) = build_repo(folder.path(), "bare-user");
    for (name, path) in objects(&repo) {
        let data = fs::read(&path).unwrap();
        if name.kind != ObjectType::File {
            check_metadata(name, &data);
            continue;
        }
        let value = get_xattr(&path, BareUserMeta::XATTR);
        let meta = BareUserMeta::parse(&value).unwrap();
        assert_eq!(meta.to_bytes(), value);
        let checksum = match meta.mode & 0o170_000 {
            0o120_000 => {
                let target = BareUserMeta::parse_symlink_content(&data).unwrap();
                assert_eq!(BareUserMeta::symlink_content(&target), data);
                meta.into_header(Some(target)).checksum_of_empty()
            }
            _ => meta.into_header(None).checksum_of(&data),
        };
        assert_eq!(checksum, name.checksum, "{name}");
    }
}

/// Guards the hash of files as they lie on disk.
#[test]
fn bare_objects() {
    if !have("ostree", "bare_objects") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "bare_objects needs root in CI");
        eprintln!("SKIPPED: bare_objects needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    build_tree(&folder.path().join("tree"), 30);
    let (repo, _) = build_repo(folder.path(), "bare");
    for (name, path) in objects(&repo) {
        if name.kind != ObjectType::File {
            check_metadata(name, &fs::read(path).unwrap());
            continue;
        }
        let stat = fs::symlink_metadata(&path).unwrap();
        let target = fs::read_link(&path).ok().map(|target| target.to_str().unwrap().to_owned());
        let content = if target.is_some() { Vec::new() } else { fs::read(&path).unwrap() };
        let mut list = Vec::new();
        if content == b"attributes" {
            // libostree does not commit attributes without a value.
            for attribute in ["user.z", "user.a"] {
                list.push((attribute.as_bytes().to_vec(), get_xattr(&path, attribute)));
            }
        }
        let header = FileHeader {
            uid: stat.uid(),
            gid: stat.gid(),
            mode: stat.mode(),
            symlink_target: target,
            xattrs: Xattrs::new(list),
        };
        assert_eq!(header.checksum_of(&content), name.checksum, "{name}");
    }
}
