//! Images whose guest laid traps for the host that updates them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::lab::{Lab, can_attach, tool};

/// Every path below `root` with its size, and with the target of a link.
fn listing(root: &Path) -> BTreeMap<PathBuf, (u64, Option<PathBuf>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).expect("it can be listed") {
            let entry = entry.expect("an entry");
            let meta = entry.metadata().expect("metadata");
            if meta.is_dir() {
                waiting.push(entry.path());
            }
            found.insert(entry.path(), (meta.len(), fs::read_link(entry.path()).ok()));
        }
    }
    found
}

/// Guards: links in a guest's image, and the parent its repository names, lead to nothing of the
/// host, where root would follow them: the update is refused and the host is as it was.
#[test]
fn nothing_leads_out_of_an_image() {
    if !can_attach(&["mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(10);
    lab.create(&[]);
    lab.commit(2);
    let victim = lab.path("victim");
    fs::create_dir(&victim).expect("the folder is writable");
    lab.mounted("disk.img", |root| {
        for name in ["ostree", "boot"] {
            tool("cp", &["-a", name, &victim.to_string_lossy()], root);
        }
    });
    let before = listing(&victim);
    let refused = |trap: &dyn Fn(&Path), undo: &dyn Fn(&Path)| {
        lab.mounted("disk.img", trap);
        for words in [&["image", "update", "disk.img", "os"][..], &["image", "prepare", "disk.img"]]
        {
            lab.must_fail(words);
            lab.wait_until_free();
        }
        assert_eq!(listing(&victim), before, "the host was changed");
        lab.mounted("disk.img", undo);
    };
    for name in ["ostree", "boot", "ostree/repo", "ostree/deploy", "ostree/repo/objects"] {
        let out = victim.join(name);
        refused(
            &|root| {
                fs::rename(root.join(name), root.join("moved")).expect("a rename");
                symlink(&out, root.join(name)).expect("a link");
            },
            &|root| {
                fs::remove_file(root.join(name)).expect("a link");
                fs::rename(root.join("moved"), root.join(name)).expect("a rename");
            },
        );
    }
    let config = |root: &Path| root.join("ostree/repo/config");
    refused(
        &|root| {
            let text = fs::read_to_string(config(root)).expect("a config");
            fs::write(root.join("kept"), &text).expect("a file");
            let parent = format!("[core]\nparent={}\n", victim.join("ostree/repo").display());
            fs::write(config(root), text.replace("[core]\n", &parent)).expect("a config");
        },
        &|root| fs::rename(root.join("kept"), config(root)).expect("a rename"),
    );
    lab.must(&["image", "update", "disk.img", "os"]);
    assert_eq!(lab.versions(), ["2", "1"]);
}

/// Guards: an initramfs that only root may read in the image is not for everybody outside of it.
#[test]
fn secrets_of_an_image_stay_secret() {
    if !can_attach(&["mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(10);
    lab.tree.set_mode("usr/lib/modules/6.1.0/initramfs.img", 0o600);
    lab.create(&[]);
    fs::create_dir(lab.path("out")).expect("the folder is writable");
    lab.must(&["image", "kernel", "disk.img", "out"]);
    let mode = |name: &str| {
        let meta = fs::metadata(lab.path("out").join(name)).expect("it was written");
        meta.permissions().mode() & 0o777
    };
    assert_eq!((mode("vmlinuz"), mode("initramfs.img")), (0o644, 0o600));
}
