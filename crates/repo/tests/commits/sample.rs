use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use trefoil_fsat::Fs;

use crate::bench::is_root;

pub fn write(root: &Path, name: &str, content: &[u8], mode: u32) {
    let path = root.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub fn mkdir(root: &Path, name: &str, mode: u32) {
    fs::create_dir_all(root.join(name)).unwrap();
    fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
}

pub fn set_xattr(root: &Path, name: &str, key: &str, value: &[u8]) {
    let dir = Fs::new().open_dir(root).unwrap();
    let done = match dir.stat(name).unwrap().is_symlink() {
        true => dir.set_xattr_of_new(name, key.as_bytes(), value),
        false => dir.open_file(name).unwrap().set_xattr(key.as_bytes(), value),
    };
    done.unwrap();
}

/// Everything that may go wrong in one tree.
pub fn sample(root: &Path) {
    mkdir(root, "", 0o755);
    mkdir(root, "usr/bin", 0o755);
    mkdir(root, "usr/empty", 0o700);
    mkdir(root, "tmp", 0o1777);
    mkdir(root, "setgid", 0o2775);
    write(root, "empty", b"", 0o644);
    write(root, "usr/bin/tool", b"#!/bin/sh\n", 0o755);
    write(root, "usr/bin/su", b"root", 0o4755);
    write(root, "usr/bin/wall", b"tty", 0o2755);
    write(root, "secret", b"s", 0o600);
    write(root, "readonly", b"r", 0o444);
    write(root, "open", b"o", 0o666);
    write(root, "large", &vec![7; 300_000], 0o644);
    for name in ["with space", "new\nline", "-dash", "back\\slash", "burger \u{1f354}", "'q\""] {
        write(root, name, name.as_bytes(), 0o644);
    }
    write(root, &"n".repeat(255), b"long", 0o644);
    mkdir(root, "a", 0o755);
    write(root, "a-", b"sorts before a/", 0o644);
    write(root, "a/same", b"r", 0o444);
    fs::hard_link(root.join("large"), root.join("usr/large-link")).unwrap();
    symlink("tool", root.join("usr/bin/alias")).unwrap();
    symlink("/nowhere/at/all", root.join("dangling")).unwrap();
    symlink("usr", root.join("dirlink")).unwrap();
    set_xattr(root, "large", "user.z", b"last");
    set_xattr(root, "large", "user.a", b"\0binary\xff");
    set_xattr(root, "empty", "user.empty", b"");
    set_xattr(root, "usr", "user.dir", b"d");
    if is_root() {
        lchown(root.join("dangling"), Some(12), Some(34)).unwrap();
        chown(root.join("secret"), Some(1000), Some(1001)).unwrap();
        chown(root.join("setgid"), Some(5), Some(6)).unwrap();
        fs::set_permissions(root.join("setgid"), fs::Permissions::from_mode(0o2775)).unwrap();
        set_xattr(root, "dirlink", "trusted.link", b"l");
        set_xattr(root, "open", "trusted.t", b"t");
        let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        set_xattr(&root.join("usr/bin"), "wall", "security.capability", capability);
    }
}
