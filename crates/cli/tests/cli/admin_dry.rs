//! `--dry-run` of the verbs of `admin`: it changes nothing, and says what the verb then does.

use std::fs;

use crate::site::{REF, Site};

/// A site with two deployments and a spare; gives their names, the default one first.
fn two_deployments() -> (Site, Vec<String>) {
    let site = Site::new();
    site.deploy("");
    for version in ["2", "3"] {
        site.tree.write("usr/bin/tool", version);
        site.commit(version);
        site.pull();
        site.deploy("");
    }
    let names = listed(&site);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(site.must("admin spare status").out.contains("spare of commit"));
    (site, names)
}

/// `STATEROOT/CHECKSUM.SERIAL` of each deployment, in order.
fn listed(site: &Site) -> Vec<String> {
    let status = site.json("admin status --json");
    let deployments = status["deployments"].as_array().expect("a list").clone();
    let text = |d: &serde_json::Value, key: &str| d[key].as_str().expect("text").to_string();
    let name = |d| format!("{}/{}.{}", text(&d, "stateroot"), text(&d, "checksum"), d["serial"]);
    deployments.into_iter().map(name).collect()
}

/// What the lines of a plan say that the list would be.
fn would_list(said: &str) -> Vec<String> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("would list: "));
    lines.filter_map(|line| Some(line.split(' ').nth(1)?.to_string())).collect()
}

/// Guards both promises for every verb that changes the list of deployments.
#[test]
fn a_plan_is_the_list_that_comes() {
    for verb in [
        "undeploy 1",
        "undeploy 0",
        "set-default 1",
        "rollback --os=testos",
        "instutil set-kargs --merge --append=more=1",
    ] {
        let (site, names) = two_deployments();
        let before = site.snapshot();
        let said = site.must(&format!("admin {verb} --dry-run"));
        assert_eq!(before, site.snapshot(), "admin {verb}");
        let planned = would_list(&said.out);
        site.must(&format!("admin {verb}"));
        let now = listed(&site);
        assert_eq!(planned, now, "admin {verb}: {said:?}");
        for name in names.iter().filter(|name| !now.contains(name)) {
            let line = format!("would delete, or keep as the spare: {name}\n");
            assert!(said.out.contains(&line), "admin {verb}: {said:?}");
        }
        assert_eq!(said.out.contains("more=1"), verb.contains("more=1"), "{said:?}");
    }
}

/// Guards that verbs which touch no list change nothing either, and what they say.
#[test]
fn nothing_is_touched() {
    let (site, names) = two_deployments();
    let commit = names[0].split(['/', '.']).nth(1).expect("a checksum");
    let before = site.snapshot();
    for (verb, expected) in [
        ("pin 0", "Deployment 0 would be pinned\n".to_string()),
        ("pin --unpin 1", "Deployment 1 is already unpinned\n".to_string()),
        ("cleanup", "would free: 0 objects, 0 bytes\n".to_string()),
        ("spare prepare", "testos: the spare is ready already\n".to_string()),
        ("spare drop", "testos: the spare would be dropped\n".to_string()),
        ("stateroot-init other", "would make: ostree/deploy/other\n".to_string()),
        ("init-fs sysroot --modern", String::new()),
        (
            "set-origin --index=0 other http://example.com",
            format!("would set: 0 other:{REF} from http://example.com\n"),
        ),
        ("upgrade --os=testos", "No update available.\n".to_string()),
    ] {
        assert_eq!(site.must(&format!("admin {verb} --dry-run")).out, expected, "admin {verb}");
        assert_eq!(before, site.snapshot(), "admin {verb}");
    }
    let said = site.must("admin kargs edit-in-place --append-if-missing=debug --dry-run");
    assert_eq!(said.out.lines().filter(|line| line.ends_with(" debug")).count(), 2, "{said:?}");
    assert_eq!(before, site.snapshot());
    site.must("admin spare drop");
    let said = site.must("admin spare prepare --dry-run");
    assert_eq!(said.out, format!("testos: would make a spare of commit {commit}\n"));
    // What the verbs refuse their dry runs refuse.
    for verb in
        ["undeploy 7", "set-default 7", "pin 7", "stateroot-init testos", "lock-finalization"]
    {
        let (dry, real) = (format!("admin {verb} --dry-run"), format!("admin {verb}"));
        assert!(!site.trefoil(&dry).ok && !site.trefoil(&real).ok, "admin {verb}");
    }
    let next = "commit --repo=source -b os/next --tree=dir=tree --timestamp=@1100000000";
    site.must(next);
    let before = site.snapshot();
    let said = site.must("admin switch --os=testos os/next --dry-run");
    assert!(said.out.starts_with("Update available: origin:os/next\n"), "{said:?}");
    assert_eq!(before, site.snapshot());
}

/// Guards that leftovers are named which a cleanup then deletes.
#[test]
fn a_cleanup_deletes_what_was_named() {
    let (site, names) = two_deployments();
    let lost = format!("{}7", names[1]);
    let tree = |name: &str| {
        let (stateroot, name) = name.split_once('/').expect("two parts");
        site.path(&format!("sysroot/ostree/deploy/{stateroot}/deploy/{name}"))
    };
    fs::create_dir(tree(&lost)).expect("it is new");
    fs::create_dir(site.path(&format!("sysroot/boot/ostree/testos-{}", "0".repeat(64))))
        .expect("it is new");
    let said = site.must("admin cleanup --dry-run");
    let expected = format!(
        "would delete, or keep as the spare: {lost}\nwould delete: boot/ostree/testos-{}\n",
        "0".repeat(64)
    );
    assert!(said.out.starts_with(&expected), "{said:?}");
    assert!(tree(&lost).exists());
    site.must("admin cleanup");
    assert!(!tree(&lost).exists());
    assert_eq!(site.must("admin cleanup --dry-run").out, "would free: 0 objects, 0 bytes\n");
}

/// Guards that going back does not wait for a tidy sysroot: what cannot be cleaned up is told when
/// the other deployment boots already, as it was before there were plans.
#[test]
fn nothing_that_lies_about_is_in_the_way() {
    let (site, names) = two_deployments();
    let stray = site.path("sysroot/ostree/deploy/testos/deploy/stray");
    fs::create_dir(stray).expect("it is new");
    let said = site.trefoil("admin rollback --os=testos");
    assert!(said.err.contains("Invalid deploy name 'stray'"), "{said:?}");
    assert_eq!(listed(&site), [names[1].clone(), names[0].clone()]);
}

/// Guards the plans of a sysroot that is not there yet.
#[test]
fn a_new_sysroot_is_planned() {
    let site = Site::new();
    fs::create_dir(site.path("fresh")).expect("it is new");
    let expected = ["boot", "ostree", "ostree/repo", "ostree/deploy", "ostree/repo/config"]
        .map(|name| format!("would make: {name}\n"))
        .concat();
    let init_fs = "admin init-fs fresh --modern --dry-run";
    assert_eq!(site.must(init_fs).out, expected);
    let said = site.must("admin stateroot-init --sysroot=fresh os --dry-run");
    assert_eq!(said.out, expected.clone() + "would make: ostree/deploy/os\n");
    assert_eq!(fs::read_dir(site.path("fresh")).expect("it is there").count(), 0);
    // Directories alone are no repository.
    fs::create_dir_all(site.path("fresh/ostree/repo")).expect("they are new");
    let left = "would make: boot\nwould make: ostree/deploy\nwould make: ostree/repo/config\n";
    assert_eq!(site.must(init_fs).out, left);
    site.must("admin init-fs fresh --modern");
    assert_eq!(site.must(init_fs).out, "");
}
