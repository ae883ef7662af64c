use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::{DirTree, DirTreeView};
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader, parse_content_stream};
use trefoil_format::sizes;
use trefoil_format::xattrs::Xattrs;

use super::{Target, exact, stable};

pub const TARGET: Target = Target {
    name: "objects",
    formats: "commit, dirtree, dirmeta, file and archive headers, `user.ostreemeta`, attributes, \
              `ostree.sizes`",
    run,
};

fn run(bytes: &[u8]) {
    if let Some(commit) = exact(bytes, Commit::parse, Commit::to_bytes)
        && let Some(value) = commit.metadata.get(sizes::SIZES_KEY)
        && let Ok(list) = sizes::from_value(value)
    {
        let again = sizes::from_value(&sizes::to_value(&list)).expect("it was just written");
        assert!(again.is_sorted() && again.len() == list.len());
    }
    exact(bytes, DirMeta::parse, DirMeta::to_bytes);
    exact(bytes, Xattrs::parse, Xattrs::to_bytes);
    exact(bytes, FileHeader::parse, FileHeader::to_bytes);
    stable(bytes, BareUserMeta::parse, BareUserMeta::to_bytes);
    if let Ok((header, _)) = ArchiveHeader::parse_framed(bytes) {
        let written = header.to_bytes();
        let (again, rest) = ArchiveHeader::parse_framed(&written).expect("it was just written");
        assert!(again == header && rest.is_empty());
    }
    if let Ok((header, content)) = parse_content_stream(bytes) {
        assert!(bytes.ends_with(content));
        assert_eq!(header.checksum_of(content), Checksum::of(bytes));
    }
    if let Ok(target) = BareUserMeta::parse_symlink_content(bytes) {
        stable(bytes, BareUserMeta::parse_symlink_content, |target: &String| {
            BareUserMeta::symlink_content(target)
        });
        assert!(!target.contains('\0'));
    }
    dirtree(bytes);
}

/// The view and the whole are two readers of one format.
fn dirtree(bytes: &[u8]) {
    let whole = exact(bytes, DirTree::parse, DirTree::to_bytes);
    let view = DirTreeView::parse(bytes);
    assert_eq!(whole.is_some(), view.is_ok(), "one of two readers refuses it");
    let (Some(whole), Ok(view)) = (whole, view) else { return };
    let files: Vec<_> = whole.files.iter().map(|f| (f.name.as_str(), f.checksum)).collect();
    assert_eq!(view.files().collect::<Vec<_>>(), files);
    let dirs: Vec<_> = whole.dirs.iter().map(|d| (d.name.as_str(), d.tree, d.meta)).collect();
    assert_eq!(view.dirs().collect::<Vec<_>>(), dirs);
    for (name, checksum) in files {
        assert_eq!(view.find_file(name), Some(checksum));
    }
    for (name, tree, meta) in dirs {
        assert_eq!(view.find_dir(name), Some((tree, meta)));
    }
}
