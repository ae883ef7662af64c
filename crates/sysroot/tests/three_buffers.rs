//! The spare: kept, checked, converted, and never believed after a crash.
//!
//! Deployments made by converting a spare are compared with what the real `ostree checkout`
//! makes of the same commit, inode by inode.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

#[allow(dead_code, reason = "each suite uses a part of it")]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Bench, REF, STATEROOT};
use proptest::prelude::*;
use trefoil_fsat::{Fault, FaultKind, Fs};
use trefoil_sysroot::deploy::{DeployOptions, DeployReport, TreeMethod};
use trefoil_sysroot::spare::{SpareBuilder, SpareState, Trust};
use trefoil_sysroot::{Account, Result};

fn deploy_with(bench: &Bench, fs: &Fs, trust: Trust) -> Result<DeployReport> {
    let builder = SpareBuilder::new(trust, true);
    let mut options = DeployOptions::new(REF);
    options.stateroot = Some(STATEROOT.into());
    let mut sysroot = bench.open_with(fs)?;
    let lock = sysroot.lock(Duration::from_secs(5))?;
    let plan = sysroot.plan_deploy(&options, &builder)?;
    let clock = || Duration::ZERO;
    let mut account = Account::new(fs, &clock);
    sysroot.apply_deploy(&lock, plan, &builder, &mut account)
}

fn deploy(bench: &Bench, trust: Trust) -> DeployReport {
    deploy_with(bench, &Fs::new(), trust).expect("deploy")
}

/// Commits and deploys until there is a spare: four versions.
fn with_spare() -> Option<Bench> {
    with_spare_in(&std::env::temp_dir())
}

fn with_spare_in(dir: &Path) -> Option<Bench> {
    let bench = Bench::new_in(dir)?;
    for version in 0..3 {
        bench.tree.write("usr/bin/version", &format!("{version}"));
        bench.commit(None);
        assert_eq!(deploy(&bench, Trust::Stat).method, TreeMethod::Full);
    }
    assert_eq!(bench.open().spare_status(STATEROOT).expect("status").state, SpareState::Sealed);
    Some(bench)
}

fn newest(bench: &Bench) -> PathBuf {
    let sysroot = bench.open();
    bench.ours().join(sysroot.deployments()[0].path())
}

fn spare_tree(bench: &Bench) -> PathBuf {
    let store = bench.ours().join(format!("ostree/trefoil/{STATEROOT}"));
    let mut names = fs::read_dir(store).expect("list").map(|e| e.expect("entry").path());
    let is_spare = |p: &PathBuf| p.is_dir() && p.to_string_lossy().contains("/spare.");
    names.find(is_spare).expect("a spare")
}

/// Everything that makes a checkout: type, mode, owner, attributes, content, time, and which
/// inode it is where that is shared with the repository.
fn describe(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    describe_dir(root, root, &mut found);
    found
}

fn describe_dir(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).expect("list") {
        let path = entry.expect("entry").path();
        let rel = path.strip_prefix(root).expect("below").display().to_string();
        // The administrator's, and a mount point.
        if rel == "etc" || rel == "var" {
            continue;
        }
        let meta = fs::symlink_metadata(&path).expect("stat");
        let mut what = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_dir() {
            what += &format!(" mtime {}", meta.mtime());
            describe_dir(root, &path, found);
        } else if meta.is_symlink() {
            what += &format!(" -> {}", fs::read_link(&path).expect("link").display());
        } else if meta.is_file() {
            what += &format!(" {:?}", fs::read(&path).expect("read"));
            if meta.len() > 0 {
                what += &format!(" inode {}", meta.ino());
            }
        }
        what += &xattrs(&path);
        found.insert(rel, what);
    }
}

fn xattrs(path: &Path) -> String {
    let out = Command::new("getfattr").args(["-h", "-d", "-m", "-"]).arg(path).output();
    let text = String::from_utf8_lossy(&out.expect("getfattr").stdout).into_owned();
    text.lines().filter(|l| !l.starts_with('#')).collect()
}

/// Fails where the newest deployment is not what `ostree checkout` makes of its commit.
fn assert_fresh(bench: &Bench, when: &str) {
    let fresh = bench.ours().join("ostree/fresh");
    let repo = format!("--repo={}/ostree/repo", bench.ours().display());
    bench.ostree.run(&["checkout", &repo, REF, &fresh.display().to_string()]);
    let (ours, theirs) = (describe(&newest(bench)), describe(&fresh));
    fs::remove_dir_all(&fresh).expect("remove");
    for (path, what) in &theirs {
        assert_eq!(ours.get(path), Some(what), "{when}: {path}");
    }
    for path in ours.keys() {
        assert!(theirs.contains_key(path), "{when}: {path} is not in the commit");
    }
}

/// Guards: the fourth deployment converts the first one's tree, is what a checkout would be,
/// and libostree agrees on the list and finds nothing wrong.
#[test]
fn the_retired_tree_becomes_the_next_deployment() {
    let Some(bench) = with_spare() else { return };
    let inode = fs::metadata(spare_tree(&bench).join("usr")).expect("stat").ino();
    bench.tree.write("usr/bin/version", "3");
    bench.tree.write("usr/share/doc/new/file", "new");
    bench.tree.set_mode("usr/bin/tool", 0o4711);
    bench.commit(None);
    let report = deploy(&bench, Trust::Full);
    assert_eq!(report.method, TreeMethod::Recycle, "{}", report.reason);
    assert_eq!(fs::metadata(newest(&bench).join("usr")).expect("stat").ino(), inode);
    assert_fresh(&bench, "recycled");
    let status = bench.ostree_on_ours().admin(&["status"]);
    assert!(status.contains(&report.name), "{status}");
    bench.ostree.run(&["fsck", &format!("--repo={}/ostree/repo", bench.ours().display())]);
}

/// Guards: libostree may clean up, undeploy and deploy between ours; the spare is neither lost
/// to it nor trusted wrongly, and nothing that is listed goes missing.
#[test]
fn libostree_takes_turns() {
    let Some(bench) = with_spare() else { return };
    let theirs = bench.ostree_on_ours();
    let steps: [&[&str]; 4] =
        [&["cleanup"], &["deploy", "--os=testos", REF], &["undeploy", "1"], &["cleanup"]];
    for (round, step) in steps.iter().enumerate() {
        bench.tree.write("usr/bin/version", &format!("turn {round}"));
        bench.commit(None);
        theirs.admin(step);
        deploy(&bench, Trust::Stat);
        assert_fresh(&bench, &format!("after {step:?}"));
        let listed = theirs.admin(&["status"]);
        for deployment in bench.open().deployments() {
            assert!(listed.contains(&deployment.name()), "{listed}");
            assert!(bench.ours().join(deployment.path()).join("usr").is_dir());
        }
    }
}

/// What somebody may do to a spare, and the weakest policy that has to find it.
type Tampering = (&'static str, Trust, fn(&Path));

const TAMPERING: [Tampering; 8] = [
    ("file added", Trust::Stat, |tree| fs::write(tree.join("usr/bin/evil"), "x").expect("write")),
    ("file removed", Trust::Stat, |tree| fs::remove_file(tree.join("usr/bin/tool")).expect("rm")),
    ("file replaced", Trust::Stat, |tree| {
        fs::remove_file(tree.join("usr/bin/tool")).expect("rm");
        fs::write(tree.join("usr/bin/tool"), "#!/bin/sh\necho tool\n").expect("write");
    }),
    ("directory renamed", Trust::Stat, |tree| {
        fs::rename(tree.join("usr/share"), tree.join("usr/shore")).expect("rename");
    }),
    ("directory chmod", Trust::Stat, |tree| {
        fs::set_permissions(tree.join("usr/bin"), fs::Permissions::from_mode(0o777))
            .expect("chmod");
    }),
    ("unlocked with a hotfix", Trust::Stat, |tree| {
        fs::create_dir(tree.join(".usr-ovl-upper")).expect("mkdir");
    }),
    ("file chmod through the link", Trust::Full, |tree| {
        let tool = tree.join("usr/bin/tool");
        fs::set_permissions(tool, fs::Permissions::from_mode(0o777)).expect("chmod");
    }),
    ("content changed through the link", Trust::Full, |tree| {
        fs::write(tree.join("usr/bin/tool"), "#!/bin/sh\necho evil\n").expect("write");
    }),
];

/// Guards: a tampered spare is found by the policy that says so, and the deployment is made
/// anew instead.
#[test]
fn tampering_is_found() {
    for (what, policy, tamper) in TAMPERING {
        let Some(bench) = with_spare() else { return };
        tamper(&spare_tree(&bench));
        let verdict = bench.open().spare_verify(STATEROOT, policy).expect("verify");
        assert!(verdict.is_some(), "{what} was not found by {policy:?}");
        bench.tree.write("usr/bin/version", "3");
        bench.commit(None);
        let report = deploy(&bench, policy);
        assert_eq!(report.method, TreeMethod::Full, "{what}");
        assert!(report.reason.contains("cannot be trusted"), "{what}: {}", report.reason);
    }
}

/// Guards: a damaged seal is no seal.
#[test]
fn a_damaged_seal_is_not_believed() {
    let Some(bench) = with_spare() else { return };
    let seal = bench.ours().join(format!("ostree/trefoil/{STATEROOT}/spare.dirs"));
    let mut bytes = fs::read(&seal).expect("read");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&seal, bytes).expect("write");
    bench.commit(None);
    let report = deploy(&bench, Trust::Stat);
    assert_eq!(report.method, TreeMethod::Full);
    assert!(report.reason.contains("damaged"), "{}", report.reason);
}

/// Guards: `prepare` makes a spare where there is none, leaves a good one, replaces a bad one.
#[test]
fn prepare_makes_a_spare() {
    let Some(bench) = Bench::new() else { return };
    bench.commit(None);
    deploy(&bench, Trust::Stat);
    let prepare = || {
        let mut sysroot = bench.open();
        let lock = bench.lock(&mut sysroot);
        sysroot.spare_prepare(&lock, STATEROOT).expect("prepare")
    };
    assert!(prepare());
    assert!(!prepare());
    fs::write(spare_tree(&bench).join("usr/bin/evil"), "x").expect("write");
    assert!(prepare());
    bench.tree.write("usr/bin/version", "2");
    bench.commit(None);
    assert_eq!(deploy(&bench, Trust::Full).method, TreeMethod::Recycle);
    assert_fresh(&bench, "from a prepared spare");
}

/// Guards: dying before any one mutating operation of a recycling deploy leaves the old or the
/// new deployment first in the list and whole, and the next deploy succeeds and is what
/// libostree would have made. Each operation failing, with each error, is `trust faults`.
#[test]
fn interrupted_anywhere() {
    // A hundred deploys and more, each with its syncs: on a disk they would take minutes.
    let Some(bench) = with_spare_in(Path::new("/dev/shm")) else { return };
    let saved = bench.ours().with_extension("saved");
    bench.tree.write("usr/bin/version", "3");
    bench.tree.write("usr/lib/new/file", "new");
    bench.tree.write("usr/etc/os.conf", "default=2\n");
    bench.commit(None);
    copy_tree(&bench.ours(), &saved);
    let counting = Fs::new();
    deploy_with(&bench, &counting, Trust::Stat).expect("deploy");
    let total = counting.mutations();
    assert!(total > 30, "only {total} operations");
    for at in 1..=total {
        restore(&bench, &saved);
        let fs = Fs::with_fault(Fault { at, kind: FaultKind::Die });
        let outcome = deploy_with(&bench, &fs, Trust::Stat);
        assert_bootable(&bench, &format!("died at {at}: {outcome:?}"));
        let again = deploy_with(&bench, &Fs::new(), Trust::Stat);
        assert!(again.is_ok(), "died at {at}, then: {again:?}");
        assert_fresh(&bench, &format!("died at {at}, deployed again"));
    }
}

/// The first deployment is whole: its kernel, its tree, and the links that lead to it.
fn assert_bootable(bench: &Bench, when: &str) {
    let sysroot = bench.open();
    let listed = sysroot.deployments();
    assert!(listed.len() >= 2, "{when}: deployments were lost");
    for deployment in listed {
        let tree = bench.ours().join(deployment.path());
        assert!(tree.join("usr/bin/version").is_file(), "{when}: {} is broken", deployment.path());
        assert!(tree.join("etc/os.conf").is_file(), "{when}: /etc of {}", deployment.path());
        let version = fs::read_to_string(tree.join("usr/bin/version")).expect("read");
        let repo = format!("--repo={}/ostree/repo", bench.ours().display());
        let commit = deployment.checksum.to_hex();
        assert_eq!(
            version,
            bench.ostree.run(&["cat", &repo, &commit, "usr/bin/version"]),
            "{when}"
        );
        let entry = |key| deployment.entry.get(key).unwrap_or_default().to_string();
        let boot = bench.ours().join("boot");
        assert!(boot.join(entry("linux").trim_start_matches('/')).is_file(), "{when}: kernel");
        let options = entry("options");
        let link = options.split(' ').find_map(|o| o.strip_prefix("ostree=/")).expect("ostree=");
        assert!(bench.ours().join(link).join("usr/bin/version").is_file(), "{when}: {link}");
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(done.success());
}

/// Puts the sysroot back. Hard links survive `cp -a`; inode numbers and change times do not, so
/// the seals are made again as `prepare` would.
fn restore(bench: &Bench, saved: &Path) {
    fs::remove_dir_all(bench.ours()).expect("remove");
    copy_tree(saved, &bench.ours());
    let mut sysroot = bench.open();
    let lock = bench.lock(&mut sysroot);
    sysroot.spare_drop(&lock, STATEROOT).expect("drop");
    sysroot.spare_prepare(&lock, STATEROOT).expect("prepare");
}

/// One random change of the tree.
#[derive(Clone, Debug)]
enum Edit {
    Write(u8, u8),
    Remove(u8),
    Chmod(u8, u32),
    Link(u8),
    Dir(u8),
    DirMode(u8, u32),
    Attribute(u8),
    Empty(u8),
}

fn edits() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    let edit = prop_oneof![
        4 => (0..12u8, any::<u8>()).prop_map(|(n, c)| Edit::Write(n, c)),
        2 => (0..12u8).prop_map(Edit::Remove),
        1 => (0..12u8, prop_oneof![Just(0o755), Just(0o4755), Just(0o600)])
            .prop_map(|(n, m)| Edit::Chmod(n, m)),
        1 => (0..12u8).prop_map(Edit::Link),
        1 => (0..12u8).prop_map(Edit::Dir),
        1 => (0..4u8, prop_oneof![Just(0o755), Just(0o700), Just(0o1777)])
            .prop_map(|(n, m)| Edit::DirMode(n, m)),
        1 => (0..12u8).prop_map(Edit::Attribute),
        1 => (0..12u8).prop_map(Edit::Empty),
    ];
    proptest::collection::vec(proptest::collection::vec(edit, 0..8), 3..6)
}

fn apply(bench: &Bench, edit: &Edit) {
    let name = |n: &u8| format!("usr/lib/play/d{}/f{n}", n % 4);
    let path = |n: &u8| bench.tree.path().join(name(n));
    let clear = |n: &u8| {
        let path = path(n);
        if fs::symlink_metadata(&path).is_ok() {
            bench.tree.remove(&name(n));
        }
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
    };
    match edit {
        Edit::Write(n, content) => {
            clear(n);
            bench.tree.write(&name(n), &format!("{content}"));
        }
        Edit::Empty(n) => {
            clear(n);
            bench.tree.write(&name(n), "");
        }
        Edit::Remove(n) => clear(n),
        Edit::Chmod(n, mode) if path(n).is_file() && !path(n).is_symlink() => {
            bench.tree.set_mode(&name(n), *mode);
        }
        Edit::Link(n) => {
            clear(n);
            symlink(format!("f{}", n + 1), path(n)).expect("symlink");
        }
        Edit::Dir(n) => {
            clear(n);
            bench.tree.write(&format!("{}/inner", name(n)), "inner");
        }
        Edit::DirMode(n, mode) if path(n).parent().is_some_and(Path::is_dir) => {
            bench.tree.set_mode(&format!("usr/lib/play/d{}", n % 4), *mode);
        }
        Edit::Attribute(n) if path(n).is_file() && !path(n).is_symlink() => {
            let mut command = Command::new("setfattr");
            command.args(["-n", "user.play", "-v", "1"]).arg(path(n));
            assert!(command.status().expect("setfattr").success());
        }
        Edit::Chmod(..) | Edit::DirMode(..) | Edit::Attribute(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]

    /// Guards: whatever the changes, a recycled deployment is what `ostree checkout` makes of
    /// the commit: type, mode, owner, attributes, content, times, links to the repository.
    #[test]
    fn recycled_equals_fresh(versions in edits()) {
        let Some(bench) = with_spare() else { return Ok(()) };
        for (round, version) in versions.iter().enumerate() {
            version.iter().for_each(|edit| apply(&bench, edit));
            bench.commit(None);
            let report = deploy(&bench, Trust::Full);
            prop_assert_eq!(report.method, TreeMethod::Recycle, "{}", report.reason);
            assert_fresh(&bench, &format!("round {round}: {version:?}"));
        }
    }
}
