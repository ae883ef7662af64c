//! After each operation our sysroot is, byte for byte, what the real `ostree` 2022.7 makes of
//! the same one.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::{self, Bench, builder, snapshot};
use trefoil_format::kargs::KernelArgs;

/// Guards: deploys with and without a new kernel, /etc merge, versions in titles, kernel
/// arguments, and both swap protocols.
#[test]
fn deploys_leave_the_same_files() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(Some("1.0"));
    bench.deploy(|o| o.kargs.replace = vec!["root=LABEL=a".into(), "quiet".into()]);
    bench.their_deploy(&["--karg=root=LABEL=a", "--karg=quiet"]);
    bench.assert_same("first deploy");

    for sysroot in [bench.ours(), bench.theirs()] {
        let status = bench.open().status().expect("status");
        let tree = format!("ostree/deploy/testos/deploy/{}.0/etc", status.deployments[0].checksum);
        fs::write(sysroot.join(&tree).join("os.conf"), "local=1\n").expect("write");
        fs::write(sysroot.join(&tree).join("mine"), "mine\n").expect("write");
    }
    bench.tree.write("usr/etc/new.conf", "new\n");
    bench.tree.write("usr/bin/more", "more\n");
    bench.commit(Some("1.0"));
    bench.deploy(|_| {});
    bench.their_deploy(&[]);
    bench.assert_same("new tree, one deployment more");

    bench.tree.write("usr/bin/more", "even more\n");
    bench.commit(Some("1.0"));
    bench.deploy(|_| {});
    bench.their_deploy(&[]);
    bench.assert_same("same kernel, as many deployments: links only");

    bench.tree.set_kernel("6.2.0", "kernel two", Some("initramfs two"));
    bench.commit(Some("2.0"));
    bench.deploy(|o| o.kargs.append = vec!["console=ttyS0".into()]);
    bench.their_deploy(&["--karg-append=console=ttyS0"]);
    bench.assert_same("new kernel");

    bench.tree.set_kernel("6.3.0", "kernel three", None);
    bench.tree.write("usr/lib/modules/6.3.0/dtb/vendor/board.dtb", "dtb");
    bench.tree.write("usr/lib/modules/6.3.0/.vmlinuz.hmac", "hmac");
    bench.commit(None);
    bench.deploy(|o| o.retain.all = true);
    bench.their_deploy(&["--retain"]);
    bench.assert_same("no initramfs, device trees, hmac, all retained");

    bench.deploy(|o| (o.no_merge, o.not_as_default) = (true, true));
    bench.their_deploy(&["--no-merge", "--not-as-default"]);
    bench.assert_same("the same commit again, without merge, last");
}

/// Guards: changes of the list other than deploys.
#[test]
fn list_changes_leave_the_same_files() {
    let Some(bench) = Bench::new() else { return };
    for version in ["1", "2", "3"] {
        bench.tree.write("usr/bin/tool", version);
        bench.commit(Some(version));
        bench.deploy(|o| o.retain.all = true);
        bench.their_deploy(&["--retain"]);
    }
    bench.assert_same("three deployments");

    let mut sysroot = bench.open();
    let lock = bench.lock(&mut sysroot);
    sysroot.set_pinned(&lock, 0, true).expect("pin");
    bench.ostree.admin(&["pin", "0"]);
    bench.assert_same("pin");
    sysroot.set_pinned(&lock, 0, false).expect("unpin");
    bench.ostree.admin(&["pin", "-u", "0"]);
    bench.assert_same("unpin");

    let kargs = KernelArgs::parse("quiet rw");
    sysroot.set_kargs(&lock, 0, &kargs, &builder()).expect("set_kargs");
    bench.ostree.admin(&["instutil", "set-kargs", "quiet", "rw"]);
    bench.assert_same("set-kargs");

    sysroot.undeploy(&lock, 1, &builder()).expect("undeploy");
    bench.ostree.admin(&["undeploy", "1"]);
    bench.assert_same("undeploy");
}

/// Guards: libostree and we can take turns on one sysroot, and both see the same list.
#[test]
fn taking_turns() {
    let Some(bench) = Bench::new() else { return };
    let ostree = bench.ostree_on_ours();
    for round in 0..3 {
        bench.tree.write("usr/bin/tool", &format!("round {round}"));
        bench.commit(None);
        if round % 2 == 0 {
            bench.deploy(|_| {});
        } else {
            ostree.admin(&["deploy", "--os=testos", common::REF]);
        }
        assert_same_list(&bench);
    }
    ostree.admin(&["undeploy", "1"]);
    assert_same_list(&bench);
    bench.deploy(|_| {});
    ostree.admin(&["cleanup"]);
    assert_same_list(&bench);

    // libostree 2022.7 cannot do this one itself.
    let mut sysroot = bench.open();
    let lock = bench.lock(&mut sysroot);
    let second = sysroot.deployment(1).expect("second").name();
    sysroot.rollback(&lock, Some(common::STATEROOT), &builder()).expect("rollback");
    assert_eq!(sysroot.deployments()[0].name(), second);
    drop(lock);
    assert_same_list(&bench);
    ostree.run(&["fsck", &format!("--repo={}/ostree/repo", bench.ours().display())]);
}

fn assert_same_list(bench: &Bench) {
    let theirs = bench.ostree_on_ours().admin(&["status"]);
    let theirs: Vec<&str> = theirs.lines().filter(|l| !l.starts_with("    ")).collect();
    let sysroot = bench.open();
    let ours: Vec<String> =
        sysroot.deployments().iter().map(|d| format!("  {} {}", d.stateroot, d.name())).collect();
    assert_eq!(ours, theirs);
}

/// Guards: the files of boot loaders that switch together with the entries.
#[test]
fn boot_loader_files_are_the_same() {
    for (dir, name, text) in [
        ("syslinux", "syslinux.cfg", "PROMPT 1\n\n\nLABEL other\n\tKERNEL /other\n\tAPPEND x\n"),
        ("", "uEnv.txt", "loaduimage=load\n"),
    ] {
        let Some(bench) = Bench::new() else { return };
        for sysroot in [bench.ours(), bench.theirs()] {
            let boot = sysroot.join("boot");
            fs::create_dir_all(boot.join("loader.0")).expect("make directory");
            symlink("loader.0", boot.join("loader")).expect("link");
            fs::write(boot.join("loader").join(name), text).expect("write");
            if !dir.is_empty() {
                fs::create_dir(boot.join(dir)).expect("make directory");
                symlink(format!("../loader/{name}"), boot.join(dir).join(name)).expect("link");
            }
        }
        bench.tree.write("usr/lib/ostree-boot/uEnv.txt", "board=x\n");
        for version in ["1", "2"] {
            bench.tree.write("usr/bin/tool", version);
            bench.commit(Some(version));
            let report = bench.deploy(|_| {});
            assert!(report.message.expect("changed").starts_with("Transaction complete"));
            bench.their_deploy(&[]);
            bench.assert_same(name);
        }
    }
}

/// Guards: `/boot` on a file system of its own, where kernels are copied and not linked.
#[test]
fn boot_on_its_own_file_system() {
    let Some(bench) = Bench::new() else { return };
    let apart = tempfile::tempdir_in("/dev/shm").expect("scratch directory");
    let boots = ["ours", "theirs"].map(|name| apart.path().join(name));
    for (sysroot, boot) in [bench.ours(), bench.theirs()].iter().zip(&boots) {
        fs::create_dir(boot).expect("make directory");
        fs::remove_dir(sysroot.join("boot")).expect("remove");
        symlink(boot, sysroot.join("boot")).expect("link");
    }
    bench.tree.write("usr/lib/modules/6.1.0/dtb/vendor/board.dtb", "dtb");
    for version in ["1", "2"] {
        bench.tree.write("usr/lib/modules/6.1.0/vmlinuz", version);
        bench.commit(Some(version));
        bench.deploy(|_| {});
        bench.their_deploy(&[]);
        assert_eq!(snapshot(&boots[0]), snapshot(&boots[1]), "version {version}");
    }
}

/// Guards: what `config-diff` shows is what libostree shows.
#[test]
fn config_diff_finds_local_changes() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(None);
    bench.deploy(|_| {});
    let sysroot = bench.open();
    let etc = bench.ours().join(sysroot.deployments()[0].path()).join("etc");
    fs::write(etc.join("os.conf"), "local\n").expect("write");
    fs::write(etc.join("added"), "local\n").expect("write");
    fs::remove_file(etc.join("app.d/one.conf")).expect("remove");
    let changes = sysroot.config_diff(&sysroot.deployments()[0]).expect("config_diff");
    let names = |list: &[trefoil_sysroot::etc::LocalNode]| -> Vec<String> {
        list.iter().map(|node| node.path.display().to_string()).collect()
    };
    assert_eq!(names(&changes.modified), ["os.conf"]);
    assert_eq!(names(&changes.added), ["added"]);
    assert_eq!(changes.removed, [std::path::Path::new("app.d/one.conf")]);
}
