//! Random small trees, full of clashes between one another.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::support::{file, is_root, mode_of, xattr};

#[derive(Clone, Debug)]
pub enum Kind {
    File { content: u8, mode: u32 },
    Symlink { target: u8 },
    Dir { mode: u32 },
}

#[derive(Clone, Debug)]
pub struct Item {
    path: Vec<&'static str>,
    kind: Kind,
    owner: u32,
    attribute: u8,
}

fn kind() -> impl Strategy<Value = Kind> {
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o4755, 0o000]);
    let dir_mode = prop::sample::select(vec![0o755, 0o700, 0o1777]);
    prop_oneof![
        4 => (0..3u8, mode).prop_map(|(content, mode)| Kind::File { content, mode }),
        1 => (0..2u8).prop_map(|target| Kind::Symlink { target }),
        2 => dir_mode.prop_map(|mode| Kind::Dir { mode }),
    ]
}

pub fn tree(names: &'static [&'static str]) -> impl Strategy<Value = Vec<Item>> {
    let path = prop::collection::vec(prop::sample::select(names), 1..4);
    let item = (path, kind(), 0..3u32, 0..3u8);
    prop::collection::vec(item, 0..12).prop_map(|items| {
        items
            .into_iter()
            .map(|(path, kind, owner, attribute)| Item { path, kind, owner, attribute })
            .collect()
    })
}

/// Makes the items below `root`; one that clashes with an earlier one is left out.
pub fn make(root: &Path, items: &[Item]) {
    fs::create_dir_all(root).unwrap();
    for item in items {
        let path = item.path.iter().fold(PathBuf::from(root), |path, name| path.join(name));
        let taken = fs::symlink_metadata(&path).is_ok();
        if taken
            || fs::create_dir_all(path.parent().unwrap()).is_err()
            || is_link_above(root, &path)
        {
            continue;
        }
        match item.kind {
            Kind::File { content, mode } => file(&path, &vec![b'x'; content.into()], mode),
            Kind::Symlink { target } => symlink(format!("target{target}"), &path).unwrap(),
            Kind::Dir { mode } => {
                fs::create_dir(&path).unwrap();
                mode_of(&path, mode);
            }
        }
        finish(&path, item);
    }
}

fn finish(path: &Path, item: &Item) {
    let is_symlink = matches!(item.kind, Kind::Symlink { .. });
    if is_root() {
        let mode = fs::symlink_metadata(path).unwrap();
        lchown(path, Some(item.owner), Some(item.owner * 2)).unwrap();
        if !is_symlink {
            mode_of(path, std::os::unix::fs::MetadataExt::mode(&mode) & 0o7777);
        }
    }
    if item.attribute > 0 && !is_symlink {
        xattr(path, "user.trefoil", &[item.attribute]);
    }
}

fn is_link_above(root: &Path, path: &Path) -> bool {
    let above = path.ancestors().skip(1).take_while(|p| *p != root);
    above.into_iter().any(|p| fs::symlink_metadata(p).is_ok_and(|m| m.is_symlink()))
}
