//! Deploys where the machine does not play along: a broken repository, no room, no writing,
//! things in the way, two at once. Each is a clear error, and nothing changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use trefoil_testkit::ostree::is_root;

use crate::site::{REF, Site, TREFOIL};
use crate::support::need_ostree;

const DEPLOY: &str = "admin deploy --os=testos origin:os/main";

/// Deploys, which must fail and change nothing, and gives what was said.
fn refused(site: &Site) -> String {
    let before = site.snapshot();
    let said = site.trefoil(DEPLOY);
    assert!(!said.ok, "{said:?}");
    let after = site.snapshot();
    let differing: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    // A lock file or a tree that comes and goes leaves its mark on the time of its directory,
    // and on the number of links of what it held.
    let marked = |line: &&&String| {
        let passing = ["./ostree ", "./ostree/trefoil/testos "];
        !passing.iter().any(|dir| line.starts_with(dir))
    };
    assert_eq!(
        differing.iter().filter(marked).collect::<Vec<_>>(),
        Vec::<&&String>::new(),
        "{said:?}"
    );
    said.err
}

/// The file of an object whose name ends so, of those that only the newest commit has.
fn object(site: &Site, checksum: &str, suffix: &str) -> PathBuf {
    let (dir, name) = checksum.split_at(2);
    site.path(&format!("sysroot/ostree/repo/objects/{dir}/{name}.{suffix}"))
}

/// Checksums of the root directory, and of a file in it, as `ls -C` lists them.
fn checksum_of(site: &Site, path: &str, column: usize) -> String {
    let words = format!("ls --repo=sysroot/ostree/repo -d -C origin:{REF} {path}");
    let listed = site.must(&words).out;
    listed.split_whitespace().nth(column).expect("a checksum").to_string()
}

/// Guards: an object that is damaged or gone is named.
#[test]
fn broken_objects_are_named() {
    let site = Site::new();
    site.deploy("");
    site.tree.write("usr/bin/tool", "two");
    site.commit("2");
    site.pull();
    let dirtree = checksum_of(&site, "/usr/bin", 4);
    let path = object(&site, &dirtree, "dirtree");
    let whole = fs::read(&path).expect("it is there");
    fs::remove_file(&path).expect("it is ours");
    fs::write(&path, &whole[..whole.len() / 2]).expect("it is ours");
    let said = refused(&site);
    assert!(said.contains(&dirtree), "{said}");
    assert!(said.contains("hint:"), "{said}");
    fs::write(&path, &whole).expect("it is ours");
    let file = checksum_of(&site, "/usr/bin/tool", 4);
    let path = object(&site, &file, "file");
    let aside = site.path("aside");
    fs::rename(&path, &aside).expect("it is ours");
    let said = site.trefoil(DEPLOY);
    assert!(!said.ok && said.err.contains(&file), "{said:?}");
    let deployed = site.json("admin status --json");
    assert_eq!(deployed["deployments"].as_array().map(Vec::len), Some(1));
    fs::rename(&aside, &path).expect("it is ours");
    site.deploy("");
}

/// A small file system in memory with a site on it.
struct Small {
    site: Option<Site>,
    path: PathBuf,
    _dir: TempDir,
}

impl Small {
    fn new() -> Small {
        let dir = TempDir::new().expect("a temporary directory can be made");
        let path = dir.path().join("mount");
        fs::create_dir(&path).expect("the folder is ours");
        let options = ["-t", "tmpfs", "-o", "size=16m", "none"];
        assert!(mount_status(Command::new("mount").args(options), &path));
        let site = Site::new_in(TempDir::new_in(&path).expect("it is empty"));
        Small { site: Some(site), path, _dir: dir }
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(mount_status(Command::new("mount").args(["-o", &options]), &self.path));
    }
}

fn mount_status(command: &mut Command, path: &Path) -> bool {
    command.arg(path).status().expect("mount can be started").success()
}

impl Drop for Small {
    fn drop(&mut self) {
        self.remount("rw");
        drop(self.site.take());
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

/// Guards: no room and no writing are said as such, and when there is room again the next
/// deploy succeeds.
#[test]
fn full_and_read_only_disks_are_told() {
    if !need_ostree() || !is_root() {
        return;
    }
    let small = Small::new();
    let site = small.site.as_ref().expect("until it is dropped");
    site.deploy("");
    site.tree.write("usr/bin/tool", "two");
    site.tree.set_kernel("6.9.0", &"k".repeat(200_000), None);
    site.commit("2");
    site.pull();
    small.remount("ro");
    let said = refused(site);
    assert!(said.contains("mounted read-only: remount it writable first"), "{said}");
    small.remount("rw");
    fill(&small.path.join("filler"));
    let said = refused(site);
    assert!(said.contains("space"), "{said}");
    fs::remove_file(small.path.join("filler")).expect("it is ours");
    site.deploy("");
    assert_eq!(site.agree("admin status").matches("Version").count(), 2);
}

/// Takes all the room but what a directory or two need.
fn fill(path: &Path) {
    let mut size = 16 << 20;
    while size >= 4096 {
        let mut filler = fs::OpenOptions::new().create(true).append(true).open(path).expect("open");
        if std::io::Write::write_all(&mut filler, &vec![b'f'; size]).is_err() {
            size /= 2;
        }
    }
}

/// Guards: what is not ours in the directory of deployments is neither taken for one nor
/// deleted.
#[test]
fn foreign_files_stay() {
    if !need_ostree() || !is_root() {
        return;
    }
    let site = Site::new();
    site.deploy("");
    let deploy = site.path("sysroot/ostree/deploy/testos/deploy");
    fs::write(deploy.join("notes.txt"), "mine").expect("it is ours");
    for n in 2..6 {
        site.tree.write("usr/bin/tool", &format!("{n}"));
        site.commit(&n.to_string());
        site.pull();
        site.deploy("");
    }
    site.must("admin cleanup");
    assert_eq!(fs::read_to_string(deploy.join("notes.txt")).expect("it stays"), "mine");
    site.agree("admin status");
}

/// Guards: deploys that run at once wait for each other, and all land.
#[test]
fn deploys_at_once_wait_for_each_other() {
    if !need_ostree() || !is_root() {
        return;
    }
    let site = Site::new();
    let start = |program: &str| {
        let mut command = Command::new(program);
        command.args(DEPLOY.split(' ')).arg("--retain").env("OSTREE_SYSROOT", site.path("sysroot"));
        command.env("OSTREE_SYSROOT_DEBUG", "mutable-deployments").stdout(Stdio::null());
        command.env("OSTREE_SYSROOT_OPTS", "bootloader-naming-1").spawn().expect("it starts")
    };
    let running: Vec<_> = [TREFOIL, "ostree", TREFOIL, "ostree"].map(start).into();
    for mut child in running {
        assert!(child.wait().expect("it ends").success());
    }
    let status = site.agree("admin status");
    assert_eq!(status.matches("Version").count(), 4, "{status}");
}
