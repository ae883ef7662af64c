//! Snapshots, raw and qcow2.

use crate::lab::{Lab, can_attach, tool};

fn snapshots(format: &str, methods: [&str; 2]) {
    let lab = Lab::new(50);
    let word = format!("--format={format}");
    lab.create(&[&word]);
    for (version, method) in [(2, methods[0]), (3, methods[1])] {
        lab.commit(version);
        let report = lab.update(&["--snapshot"]);
        let found = report["snapshot"]["method"].as_str().unwrap_or("none").to_string();
        assert!(method.split('|').any(|m| m == found), "{report}");
    }
    assert_eq!(lab.versions(), ["3", "2"]);
    if format == "qcow2" {
        tool("qemu-img", &["check", "-q", "disk.img"], &lab.path("."));
    }
    lab.must(&["image", "rollback", "--snapshot", "disk.img"]);
    assert_eq!(lab.versions(), ["2", "1"]);
    lab.update(&[]);
    assert_eq!(lab.versions(), ["3", "2"]);
    let said = lab.must_fail(&["image", "rollback", "--snapshot", "disk.img"]);
    assert!(said.contains("there is no snapshot"), "{said}");
}

/// Guards: a snapshot is the state before the update, and going back loses nothing of it.
#[test]
fn a_raw_snapshot_is_the_state_before() {
    if can_attach(&["mkfs.ext4"]) {
        snapshots("raw", ["copy|reflink", "copy|reflink"]);
    }
}

/// Guards the same for qcow2, which is attached by way of QEMU's storage daemon.
#[test]
fn a_qcow2_snapshot_is_the_state_before() {
    if can_attach(&["mkfs.ext4", "qemu-img", "qemu-storage-daemon"]) {
        snapshots("qcow2", ["backing", "merged"]);
    }
}
