//! What cannot be deployed is refused with a clear word, and nothing changes.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use trefoil_fsat::Fs;
use trefoil_sysroot::SysrootError;
use trefoil_sysroot::deploy::DeployOptions;

use crate::common::{self, Bench, snapshot};

/// Deploys with `change`, which must fail, and gives the whole chain of messages.
fn refused(bench: &Bench, change: impl FnOnce(&mut DeployOptions)) -> String {
    let before = snapshot(&bench.ours());
    let error = bench.try_deploy(&Fs::new(), change).expect_err("must be refused");
    assert_eq!(snapshot(&bench.ours()), before, "{error}: something changed");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn repo_of(bench: &Bench) -> String {
    format!("--repo={}/ostree/repo", bench.ours().display())
}

/// Guards: bad requests and bad trees.
#[test]
fn nothing_changes_when_a_deploy_is_refused() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(Some("1"));
    bench.deploy(|_| {});
    let text = refused(&bench, |o| o.stateroot = Some("nowhere".into()));
    assert_eq!(text, "No such stateroot: nowhere");
    let text = refused(&bench, |o| o.rev = "no/such/ref".into());
    assert_eq!(text, "Refspec 'no/such/ref' not found");
    let text = refused(&bench, |o| o.stateroot = None);
    assert!(text.contains("--os="), "{text}");
    let text = refused(&bench, |o| o.kargs.delete = vec!["ostree=other".into()]);
    assert!(text.contains("No karg 'ostree=other' found"), "{text}");

    bench.tree.write("etc/file", "x");
    bench.commit(Some("2"));
    assert!(refused(&bench, |_| {}).contains("Tree contains both /etc and /usr/etc"));
    bench.tree.remove("etc");

    bench.tree.remove("usr/lib/modules");
    bench.commit(Some("3"));
    assert!(refused(&bench, |_| {}).contains("Failed to find kernel"));

    let state = bench.ours().join("ostree/repo/state");
    let commit = bench.ostree.run(&["rev-parse", &repo_of(&bench), common::REF]);
    fs::write(state.join(format!("{}.commitpartial", commit.trim())), "").expect("write");
    assert!(refused(&bench, |_| {}).contains("is partial"));
}

/// Guards: a boot loader whose files we cannot write stops the deploy before it begins.
#[test]
fn unknown_boot_loaders_are_refused() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(Some("1"));
    for word in ["grub2", "zipl"] {
        bench.ostree.run(&["config", &repo_of(&bench), "set", "sysroot.bootloader", word]);
        let text = refused(&bench, |_| {});
        assert!(text.contains(word) && text.contains("nothing was changed"), "{text}");
    }
}

/// Guards: one at a time, with ourselves and with libostree.
#[test]
fn the_lock_excludes_others() {
    let Some(bench) = Bench::new() else { return };
    let mut first = bench.open();
    let lock = bench.lock(&mut first);
    let mut second = bench.open();
    let tried = second.lock(Duration::from_millis(50));
    assert!(matches!(tried, Err(SysrootError::Locked { .. })));

    let mut child = Command::new("ostree")
        .args(["admin", "cleanup"])
        .env("OSTREE_SYSROOT", bench.ours())
        .stdout(Stdio::null())
        .spawn()
        .expect("start ostree");
    sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("look").is_none(), "ostree did not wait for our lock");
    drop(lock);
    assert!(child.wait().expect("wait").success());
    second.lock(Duration::from_secs(5)).expect("free again");
}
