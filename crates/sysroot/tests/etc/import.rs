//! Trees into a repository without the real `ostree`.

use std::path::Path;

use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{DirTree, FileEntry, SubdirEntry};
use trefoil_format::file::FileHeader;
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;
use trefoil_fsat::Dir;
use trefoil_repo::{FileSource, Repo, Transaction, TreeId};

use crate::tree::dir;

/// Puts a directory into a repository.
pub fn import(repo: &Repo, path: &Path) -> TreeId {
    let transaction = repo.begin().unwrap();
    let tree = import_dir(&transaction, &dir(path));
    transaction.commit().unwrap();
    tree
}

fn import_dir(transaction: &Transaction<'_>, dir: &Dir) -> TreeId {
    let mut tree = DirTree::default();
    for entry in dir.sorted_entries().unwrap() {
        let name: EntryName = entry.name.to_str().unwrap().try_into().unwrap();
        let stat = dir.stat(&entry.name).unwrap();
        if stat.is_dir() {
            let id = import_dir(transaction, &dir.open_dir(&entry.name).unwrap());
            tree.dirs.push(SubdirEntry { name, tree: id.tree, meta: id.meta });
            continue;
        }
        let link = dir.read_link(&entry.name).ok().map(|t| String::from_utf8(t).unwrap());
        let content = if link.is_some() { vec![] } else { dir.read(&entry.name, 100).unwrap() };
        let header = FileHeader {
            uid: stat.uid,
            gid: stat.gid,
            mode: stat.mode,
            symlink_target: link,
            xattrs: Default::default(),
        };
        let checksum = transaction.write_file(&header, FileSource::Bytes(&content)).unwrap();
        tree.files.push(FileEntry { name, checksum });
    }
    let stat = dir.stat_self().unwrap();
    let meta =
        DirMeta { uid: stat.uid, gid: stat.gid, mode: stat.mode, xattrs: Default::default() };
    TreeId {
        tree: transaction.write_metadata(ObjectType::DirTree, &tree.to_bytes()).unwrap(),
        meta: transaction.write_metadata(ObjectType::DirMeta, &meta.to_bytes()).unwrap(),
    }
}
