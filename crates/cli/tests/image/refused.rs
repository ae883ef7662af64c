//! Images that somebody else uses.

use trefoil_fsat::{Fs, LockMode};

use crate::lab::{Lab, can_attach, tool};

/// The bytes QEMU locks for "I write" and for "nobody else may write".
const QEMU_LOCKS: [u32; 2] = [101, 201];

/// Guards: an image that QEMU, another run or a loop device has is refused, and left alone.
#[test]
fn an_image_in_use_is_refused() {
    if !can_attach(&["mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(10);
    lab.create(&[]);
    lab.commit(2);
    let update = ["image", "update", "disk.img", "os"];
    let dir = Fs::new().open_dir(lab.path(".")).expect("it is there");
    for byte in QEMU_LOCKS.into_iter().chain([0]) {
        let file = dir.open_in_place("disk.img").expect("the image is there");
        let mode = if byte == 0 { LockMode::Exclusive } else { LockMode::Shared };
        assert!(file.lock_bytes(byte, 1, mode).expect("locks work here"));
        for words in [&update[..], &["image", "status", "disk.img"]] {
            let said = lab.must_fail(words);
            assert!(said.contains("disk.img is in use"), "byte {byte}: {said}");
        }
    }
    let device = tool("losetup", &["--find", "--show", "disk.img"], &lab.path("."));
    let said = lab.must_fail(&update);
    tool("losetup", &["--detach", device.trim()], &lab.path("."));
    assert!(said.contains(&format!("{} is attached to it", device.trim())), "{said}");
    assert_eq!(lab.versions(), ["1"]);
    lab.must(&update);
    assert_eq!(lab.versions(), ["2", "1"]);
}

/// Guards: a failed create leaves no image, and no name is ever overwritten.
#[test]
fn create_makes_all_or_nothing() {
    if !can_attach(&["mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(10);
    lab.commit(1);
    let said = lab.must_fail(&["image", "create", "disk.img", "nosuchref"]);
    assert!(said.contains("nosuchref"), "{said}");
    let said = lab.must_fail(&["image", "create", "disk.img", "os", "--size=10M"]);
    assert!(said.contains("too small"), "{said}");
    let said = lab.must_fail(&["image", "create", "disk.img", "os", "--bootloader=grub"]);
    assert!(said.contains("not implemented yet"), "{said}");
    let names: Vec<_> = std::fs::read_dir(lab.path(".")).expect("it can be listed").collect();
    assert_eq!(names.len(), 2, "only repo and tree: {names:?}");
    std::fs::write(lab.path("disk.img"), "precious").expect("the folder is writable");
    let said = lab.must_fail(&["image", "create", "disk.img", "os", "--size=420M"]);
    assert!(said.contains("is there already"), "{said}");
    let said = lab.must_fail(&["image", "update", "disk.img", "os"]);
    assert!(said.contains("partition table"), "{said}");
    assert_eq!(std::fs::read(lab.path("disk.img")).expect("it is there"), b"precious");
}
