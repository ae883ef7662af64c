//! Images after an update.

use crate::lab::{Lab, can_attach, tool};

/// Guards: on each file system an update in place is one that libostree finds nothing wrong with,
/// a rollback too, and a repeated update does nothing.
#[test]
fn libostree_agrees_on_every_file_system() {
    if !can_attach(&["ostree", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"]) {
        return;
    }
    for filesystem in ["ext4", "xfs", "btrfs"] {
        let lab = Lab::new(100);
        let word = format!("--filesystem={filesystem}");
        lab.create(&[&word, "--size=420M", "--spare", "--karg=console=ttyS0"]);
        assert_eq!(lab.versions(), ["1"], "{filesystem}");
        lab.commit(2);
        let report = lab.update(&[]);
        assert_eq!(report["deploy"]["method"], "recycle", "{filesystem}: {report}");
        assert_eq!(report["changed"], true);
        assert_eq!(lab.update(&[])["changed"], false);
        assert_eq!(lab.versions(), ["2", "1"]);
        lab.mounted("disk.img", |root| {
            let sysroot = format!("--sysroot={}", root.display());
            let status = tool("ostree", &["admin", "status", &sysroot], root);
            let versions: Vec<_> = status.lines().filter(|l| l.contains("Version")).collect();
            assert_eq!(versions, ["    Version: 2", "    Version: 1"]);
            assert!(status.contains("origin refspec: os"));
            let repo = format!("--repo={}", root.join("ostree/repo").display());
            tool("ostree", &["fsck", "--quiet", &repo], root);
            let entry = std::fs::read_to_string(root.join("boot/loader/entries/ostree-2.conf"))
                .or_else(|_| {
                    std::fs::read_to_string(root.join("boot/loader/entries/ostree-2-default.conf"))
                })
                .expect("there is an entry");
            assert!(entry.contains(" rw console=ttyS0 ostree="), "{entry}");
            assert!(entry.contains("root=UUID="), "{entry}");
        });
        lab.must(&["image", "rollback", "disk.img"]);
        assert_eq!(lab.versions(), ["1", "2"]);
        lab.wait_until_free();
    }
}

/// Guards: what is written to the image follows the change, not the tree.
#[test]
fn bytes_written_follow_the_change() {
    if !can_attach(&["mkfs.ext4"]) {
        return;
    }
    let written = |files| {
        let lab = Lab::new(files);
        lab.create(&["--spare"]);
        lab.commit(2);
        let report = lab.update(&[]);
        assert_eq!(report["deploy"]["method"], "recycle", "{report}");
        report["bytes_written"].as_u64().expect("a number")
    };
    let (small, large) = (written(100), written(2000));
    assert!(small > 10_000, "{small} bytes cannot be all");
    // Twenty times the tree; ten files in ten directories change in both.
    assert!(large < 2 * small, "{large} bytes in the large tree, {small} in the small one");
}
