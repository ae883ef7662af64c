//! Deployments that are finished at shutdown, on a running system, with both programs.

use std::fs;

use crate::booted::Booted;
use crate::site::REF;

fn stage(booted: &Booted, more: &str) {
    booted.ours(format!("deploy --stage origin:{REF} {more}").trim());
}

/// Guards the way from staging to the next boot: what is changed in `/etc` in between is taken
/// over, kernel and tree are there before, the old list boots until the end.
#[test]
fn staged_and_finished() {
    let Some(mut booted) = Booted::new() else { return };
    booted.site.tree.set_kernel("6.2.0", "kernel two", Some("initramfs two"));
    let commit = booted.update("3");
    let entries = booted.site.path("sysroot/boot/loader/entries");
    let before = fs::read_dir(&entries).expect("entries").count();
    stage(&booted, "");
    let status = booted.status();
    assert!(status.starts_with(&format!("  testos {commit}.0 (staged)\n")), "{status}");
    let json: serde_json::Value =
        serde_json::from_str(&booted.ours("status --json").out).expect("JSON");
    assert_eq!(json["deployments"][0]["staged"], true);
    assert_eq!(json["deployments"][1]["booted"], true);
    assert_eq!(fs::read_dir(&entries).expect("entries").count(), before);
    let kernels = fs::read_dir(booted.site.path("sysroot/boot/ostree")).expect("kernels").count();
    assert_eq!(kernels, 2, "the new kernel is in /boot before shutdown");
    let refs = booted.site.run("ostree", "refs --repo=sysroot/ostree/repo").out;
    assert!(refs.lines().filter(|name| name.starts_with("ostree/")).count() == 2, "{refs}");

    fs::write(booted.root.join("etc/late"), "changed after staging").expect("etc is ours");
    let said = booted.ours("finalize-staged");
    assert!(said.out.contains("Bootloader updated; bootconfig swap: yes;"), "{said:?}");
    assert!(!booted.is_staged());
    let status = booted.status();
    assert!(status.starts_with(&format!("  testos {commit}.0 (pending)\n")), "{status}");
    booted.boot();
    assert_eq!(booted.in_default("etc/late"), "changed after staging");
    assert_eq!(booted.in_default("etc/os.conf"), "default=3\n");
    assert_eq!(booted.in_default("usr/bin/tool"), "3");
    let entry = fs::read_to_string(entries.join("ostree-2.conf")).expect("an entry");
    assert!(entry.contains("root=LABEL=X") && entry.contains("vmlinuz-6.2.0"), "{entry}");
    let said = booted.ours("finalize-staged");
    assert_eq!(said.err, "No deployment staged for finalization\n");
    let fsck = booted.site.run("ostree", "fsck --repo=sysroot/ostree/repo");
    assert!(fsck.ok, "{fsck:?}");
}

/// Guards the form of the state: each program finishes and takes back what the other staged.
#[test]
fn either_finishes_what_the_other_staged() {
    let Some(mut booted) = Booted::new() else { return };
    fs::write(booted.root.join("etc/os.conf"), "mine").expect("etc is ours");
    let third = booted.update("3");
    booted.theirs(&format!("deploy --stage --karg-append=theirs=1 origin:{REF}"));
    assert!(booted.status().starts_with(&format!("  testos {third}.0 (staged)\n")));
    booted.ours("finalize-staged");
    assert!(booted.status().starts_with(&format!("  testos {third}.0 (pending)\n")));
    booted.boot();
    assert_eq!(booted.in_default("etc/os.conf"), "mine");
    let kargs = booted.entries();
    assert!(kargs.contains("root=LABEL=X ") && kargs.contains(" theirs=1\n"), "{kargs}");

    let fourth = booted.update("4");
    stage(&booted, "--karg-append=ours=1");
    booted.theirs("finalize-staged");
    assert!(booted.status().starts_with(&format!("  testos {fourth}.0 (pending)\n")));
    booted.boot();
    assert_eq!(booted.in_default("etc/os.conf"), "mine");
    assert_eq!(booted.in_default("usr/bin/tool"), "4");
    assert!(booted.entries().contains(" theirs=1 ours=1\n"));

    booted.update("5");
    let trees = booted.trees();
    stage(&booted, "");
    assert_eq!(booted.trees().len(), trees.len() + 1);
    booted.theirs("undeploy 0");
    assert!(!booted.is_staged());
    assert_eq!(booted.trees(), trees);
    booted.theirs(&format!("deploy --stage origin:{REF}"));
    booted.ours("undeploy 0");
    assert!(!booted.is_staged());
    booted.status();
    booted.ours("cleanup");
    booted.theirs("cleanup");
    assert_eq!(booted.trees(), trees);
}

/// Guards the lock, that staging again replaces what was staged, that a cleanup by either
/// program leaves it alone, and that a deploy of the other kind drops it.
#[test]
fn locked_replaced_and_dropped() {
    let Some(booted) = Booted::new() else { return };
    booted.update("3");
    booted.ours(&format!("deploy --lock-finalization origin:{REF}"));
    let view: serde_json::Value =
        serde_json::from_str(&booted.ours("status --json").out).expect("JSON");
    assert_eq!(view["deployments"][0]["finalization-locked"], true);
    assert!(booted.ours("status").out.contains(" (finalization locked)\n"));
    booted.theirs("finalize-staged");
    let said = booted.ours("finalize-staged");
    assert_eq!(said.err, "Not finalizing; deployment is locked for finalization\n");
    assert!(booted.is_staged());
    for (words, expected) in [
        ("lock-finalization", "Staged deployment is already finalization locked\n"),
        ("lock-finalization -u", "Staged deployment is now queued to apply on shutdown\n"),
        ("lock-finalization -u", "Staged deployment is already prepared for finalization\n"),
        ("lock-finalization", "Staged deployment is now finalization locked\n"),
    ] {
        assert_eq!(booted.ours(words).out, expected);
    }

    let fourth = booted.update("4");
    stage(&booted, "");
    assert!(!booted.site.path("run/ostree/staged-deployment-locked").exists());
    assert!(booted.status().starts_with(&format!("  testos {fourth}.0 (staged)\n")));
    assert_eq!(booted.trees().len(), 2, "the one staged before is gone");
    booted.ours("cleanup");
    booted.theirs("cleanup");
    assert_eq!(booted.trees().len(), 2);
    for words in ["pin 0", "instutil set-kargs quiet"] {
        assert!(!booted.try_ours(words).ok, "{words}");
    }
    booted.ours("kargs edit-in-place --append-if-missing=late");
    booted.status();

    // One that goes behind it leaves it; one that goes before it does not.
    booted.ours(&format!("deploy --not-as-default --retain-pending origin:{REF}"));
    assert!(booted.is_staged());
    assert!(booted.status().starts_with(&format!("  testos {fourth}.0 (staged)\n")));
    booted.ours(&format!("deploy origin:{REF}"));
    assert!(!booted.is_staged());
    assert!(!booted.status().contains("(staged)"));
}

/// Guards that a failure at shutdown leaves the old list, is told by `status` and by the next
/// run, and by an exit code at the next boot.
#[test]
fn a_failure_is_recorded() {
    let Some(mut booted) = Booted::new() else { return };
    booted.site.tree.remove("usr/etc/os.conf");
    booted.site.tree.write("usr/etc/os.conf/now-a-directory", "x");
    booted.site.commit("3");
    booted.site.pull();
    stage(&booted, "");
    fs::write(booted.root.join("etc/os.conf"), "mine").expect("etc is ours");
    let said = booted.try_ours("finalize-staged");
    let words = "Modified config file newly defaults to directory 'os.conf', cannot merge";
    assert!(!said.ok && said.error_line().contains(words), "{said:?}");
    let said = booted.ours("status");
    assert!(said.err.contains(words), "{said:?}");
    let view = booted.ours("status --json").out;
    let view: serde_json::Value = serde_json::from_str(&view).expect("JSON");
    assert!(view["finalization-failure"].as_str().is_some_and(|text| text.contains(words)));
    assert!(booted.ours("cleanup").err.contains(words));
    booted.boot();
    let said = booted.try_ours("boot-complete");
    let expected = "error: ostree-finalize-staged.service failed on previous boot: ";
    assert!(!said.ok && said.error_line().starts_with(expected), "{said:?}");
    booted.ours("boot-complete");
    assert_eq!(booted.ours("status").err, "");

    // What cannot be merged now is refused when it is staged.
    let said = booted.try_ours(&format!("deploy --stage origin:{REF}"));
    assert!(!said.ok && said.error_line().contains(words), "{said:?}");
    fs::write(booted.root.join("etc/os.conf"), "default=1\n").expect("etc is ours");
    stage(&booted, "");
    booted.ours("finalize-staged");
    assert_eq!(booted.in_default("etc/os.conf/now-a-directory"), "x");
}

/// Guards that a system which keeps `/sysroot` and `/boot` read-only can be changed, and that
/// they stay read-only for everybody else.
#[test]
fn a_read_only_sysroot_is_no_obstacle() {
    let Some(mut booted) = Booted::new() else { return };
    fs::write(booted.site.path("tools/read-only"), "").expect("it is ours");
    let third = booted.update("3");
    let words = format!(
        "trefoil admin deploy origin:{REF} && ! touch /sysroot/x && ! touch /boot/x && \
         trefoil admin status"
    );
    let said = booted.run(&["sh", "-c", &words]);
    assert!(said.ok && said.out.contains(&format!("  testos {third}.0 (pending)\n")), "{said:?}");
    assert_eq!(said.err.matches("Read-only file system").count(), 2, "{said:?}");
    booted.boot();
    booted.update("4");
    stage(&booted, "");
    booted.theirs("finalize-staged");
    booted.boot();
    assert_eq!(booted.in_default("usr/bin/tool"), "4");
    booted.status();
}

/// Guards that an upgrade stages too, asked by option or environment, and that options which
/// only a finished deployment can have are refused.
#[test]
fn upgrades_are_staged() {
    let Some(booted) = Booted::new() else { return };
    let third = booted.update("3");
    let said = booted.ours(&format!("deploy --stage --dry-run origin:{REF}"));
    assert!(said.out.contains("\nstaged: /etc and boot entries wait for shutdown\n"), "{said:?}");
    assert!(!booted.is_staged());
    booted.ours("upgrade --deploy-only --stage");
    assert!(booted.status().starts_with(&format!("  testos {third}.0 (staged)\n")));
    booted.ours("undeploy 0");
    let words = ["env", "OSTREE_EX_STAGE_DEPLOYMENTS=1", "trefoil", "admin", "upgrade"];
    let said = booted.run(&[&words[..], &["--deploy-only"]].concat());
    assert!(said.ok && booted.is_staged(), "{said:?}");
    for (words, what) in
        [("--retain", "--retain arguments"), ("--not-as-default", "--not-as-default")]
    {
        let said = booted.try_ours(&format!("deploy --stage {words} origin:{REF}"));
        let expected = format!("error: --stage cannot currently be combined with {what}");
        assert_eq!(said.error_line(), expected);
    }
}
