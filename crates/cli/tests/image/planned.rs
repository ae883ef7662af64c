//! What `image update --dry-run` tells.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lab::{Lab, can_attach, tool};

const DRY_RUN: [&str; 6] = ["image", "update", "disk.img", "os", "--dry-run", "--json"];

fn plan(lab: &Lab) -> Value {
    let before = sum(lab);
    let plan = serde_json::from_str(&lab.must(&DRY_RUN)).expect("it is JSON");
    assert_eq!(sum(lab), before, "a plan changed the image");
    plan
}

fn sum(lab: &Lab) -> String {
    tool("sha256sum", &["disk.img"], &lab.path("."))
}

/// The tree that boots, in the mounted image.
fn current(root: &Path) -> PathBuf {
    let sysroot = format!("--sysroot={}", root.display());
    let dir = tool("ostree", &["admin", "--print-current-dir", &sysroot], root);
    PathBuf::from(dir.trim())
}

fn write_etc(lab: &Lab, name: &str, content: &str) {
    lab.mounted("disk.img", |root| {
        let path = current(root).join("etc").join(name);
        std::fs::write(path, content).expect("the image is mounted for writing");
    });
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Guards: a plan that is made before anything was pulled is what the update then does, with a
/// spare and without one, and making it changes no byte of the image.
#[test]
fn a_dry_run_tells_what_the_update_does() {
    if !can_attach(&["ostree", "mkfs.ext4"]) {
        return;
    }
    for (more, method) in [(&["--spare"][..], "recycle"), (&[][..], "full")] {
        let lab = Lab::new(50);
        lab.tree.write("usr/etc/both.conf", "default 1\n");
        lab.tree.write("usr/etc/theirs.conf", "default 1\n");
        lab.tree.write("usr/share/going/away", "old\n");
        lab.create(more);
        write_etc(&lab, "both.conf", "edited\n");
        write_etc(&lab, "mine.conf", "added\n");
        lab.tree.write("usr/etc/both.conf", "default 2\n");
        lab.tree.write("usr/etc/theirs.conf", "default 2\n");
        lab.tree.write("usr/share/new/deep/er", "new\n");
        std::fs::remove_dir_all(lab.tree.path().join("usr/share/going")).expect("it was made");
        lab.commit(2);

        let plan = plan(&lab);
        let words = lab.must(&["image", "update", "disk.img", "os", "--dry-run"]);
        let report = lab.update(&[]);
        let (told, done) = (&plan["deploy"], &report["deploy"]);

        assert_eq!((&plan["commit"], &plan["changes"]), (&report["commit"], &true.into()));
        assert_eq!(told["name"], done["name"]);
        let pulled = number(&plan["pull"]["metadata"]) + number(&plan["pull"]["files"]);
        assert_eq!(pulled, number(&report["objects_pulled"]));
        assert_eq!(told["tree"]["method"], method, "{told}");
        assert_eq!(done["method"], method, "{done}");
        assert_eq!(told["tree"]["reason"], done["reason"]);
        let made = ["links", "symlinks", "copies"].map(|name| number(&done["tree"][name]));
        assert_eq!(number(&told["tree"]["links"]), made.iter().sum::<u64>(), "{told} {done}");
        for name in ["removals", "dirs"] {
            assert_eq!(told["tree"][name], done["tree"][name], "{name}");
        }
        assert_eq!(told["etc"]["conflicts"], done["conflicts"]);
        assert_eq!(told["etc"]["conflicts"][0]["path"], "both.conf", "{told}");
        assert_eq!((&told["etc"]["modified"], &told["etc"]["added"]), (&1.into(), &1.into()));
        // The image's own paths, and all that comes counts.
        let space = &told["space"][0];
        assert_eq!(space["path"], "/ostree");
        assert!(number(&space["needed"]) > number(&plan["pull"]["disk_bytes"]), "{told}");
        assert!(number(&plan["pull"]["disk_bytes"]) > number(&plan["pull"]["bytes"]), "{plan}");
        assert!(words.contains("both.conf: changed on both sides, local version kept"), "{words}");

        let again: Value = serde_json::from_str(&lab.must(&DRY_RUN)).expect("it is JSON");
        assert_eq!((&again["changes"], &again["deploy"]), (&false.into(), &Value::Null));
    }
}

/// Guards: an `/etc` that cannot be merged is told with its paths, and fails as the update does.
#[test]
fn a_dry_run_tells_of_clashes() {
    if !can_attach(&["ostree", "mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(0);
    lab.create(&[]);
    write_etc(&lab, "site", "a file of the administrator\n");
    lab.tree.write("usr/etc/site/default.conf", "a folder now\n");
    lab.commit(2);
    let before = sum(&lab);
    let output = lab.run(&DRY_RUN);
    assert_eq!(sum(&lab), before);
    assert!(!output.status.success());
    let plan: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let clash = &plan["deploy"]["etc"]["clashes"][0];
    assert_eq!((&clash["path"], &clash["kind"]), (&"site".into(), &"defaults-to-directory".into()));
    let update = lab.must_fail(&["image", "update", "disk.img", "os"]);
    let dry = String::from_utf8_lossy(&output.stderr);
    for words in [&*dry, &*update] {
        assert!(words.contains("newly defaults to directory 'site', cannot merge"), "{words}");
    }
    assert_eq!(lab.versions(), ["1"]);
}

/// Guards: a pull that was cut off has left objects of the commit; the plan counts what is still
/// to come, and does not take the mark it left for an obstacle.
#[test]
fn a_dry_run_goes_on_where_a_pull_was_cut_off() {
    if !can_attach(&["ostree", "mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(50);
    lab.create(&["--spare"]);
    lab.commit(2);
    let commit = lab.must(&["rev-parse", "os"]);
    let commit = commit.trim();
    let whole = plan(&lab);
    // As an interrupted pull: the commit and its mark are there, and no more.
    let object = format!("{}/{}.commit", &commit[..2], &commit[2..]);
    lab.mounted("disk.img", |root| {
        let repo = root.join("ostree/repo");
        std::fs::create_dir_all(repo.join("objects").join(&commit[..2])).expect("it is writable");
        std::fs::copy(lab.path("repo/objects").join(&object), repo.join("objects").join(&object))
            .expect("it is writable");
        std::fs::write(repo.join("state").join(format!("{commit}.commitpartial")), "")
            .expect("it is writable");
    });
    let rest = plan(&lab);
    assert_eq!(number(&rest["pull"]["metadata"]) + 1, number(&whole["pull"]["metadata"]));
    assert_eq!(rest["pull"]["files"], whole["pull"]["files"]);
    assert_eq!(rest["deploy"]["tree"], whole["deploy"]["tree"]);
    let report = lab.update(&[]);
    let pulled = number(&rest["pull"]["metadata"]) + number(&rest["pull"]["files"]);
    assert_eq!(number(&report["objects_pulled"]), pulled);
}

/// Guards: a rollback and a spare are planned without a change to the image, and come as planned.
#[test]
fn a_rollback_is_what_was_planned() {
    if !can_attach(&["ostree", "mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(50);
    lab.create(&[]);
    lab.commit(2);
    lab.update(&["--snapshot"]);
    let before = sum(&lab);
    let plan = lab.must(&["image", "rollback", "disk.img", "--dry-run", "--json"]);
    let plan: Value = serde_json::from_str(&plan).expect("it is JSON");
    let spare = lab.must(&["image", "prepare", "disk.img", "--dry-run"]);
    assert!(spare.contains(": would make a spare of commit "), "{spare}");
    let snapshot = lab.must(&["image", "rollback", "--snapshot", "disk.img", "--dry-run"]);
    assert!(snapshot.starts_with("would put disk.img.snapshot in the place of "), "{snapshot}");
    assert_eq!(sum(&lab), before, "a plan changed the image");
    assert_eq!(lab.versions(), ["2", "1"]);
    let said = lab.must(&["image", "rollback", "disk.img"]);
    let first = plan["list"][0].as_str().expect("a name");
    assert!(said.contains(&format!("{first} boots")), "{said}, planned {plan}");
    assert_eq!(lab.versions(), ["1", "2"]);
}
