//! A machine that runs from a deployment, as far as both programs can tell: its root is the
//! deployment's directory, in namespaces of its own, with the programs of the host as `/usr`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use trefoil_testkit::ostree::{is_root, missing};

use crate::site::{Site, TREFOIL};
use crate::support::{Said, need_ostree};

/// Builds the namespaces; arguments: folder, deployment, then what to run in them.
const ENTER: &str = "
    W=$1 D=$2 T=$3; shift 3; R=$W/root
    mount --bind \"$D\" $R
    mount --bind $W/sysroot $R/sysroot
    mount --bind $W/sysroot/boot $R/boot
    if [ -e $W/tools/read-only ]; then
        mount -o remount,bind,ro $R/sysroot
        mount -o remount,bind,ro $R/boot
    fi
    mount --bind $W/sysroot/ostree/deploy/testos/var $R/var
    mount --bind $W/run $R/run
    mount --bind /usr $R/usr
    mount -t proc proc $R/proc
    mount --rbind /dev $R/dev
    mount --bind $T $R/mnt
    mount --bind $W/tools $R/opt
    cd /
    exec chroot $R \"$@\"";

/// A site whose default deployment runs.
pub struct Booted {
    pub site: Site,
    /// The directory of the running deployment.
    pub root: PathBuf,
}

impl Booted {
    /// `None` where namespaces cannot be made; that was said.
    pub fn new() -> Option<Booted> {
        if !is_root() {
            missing("a running system is played with mounts, which need root");
            return None;
        }
        if !need_ostree() {
            return None;
        }
        let site = Site::new();
        for dir in ["boot", "run", "mnt", "opt"] {
            fs::create_dir_all(site.tree.path().join(dir)).expect("the tree is ours");
        }
        for link in ["sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), site.tree.path().join(link)).expect("the tree is ours");
        }
        for dir in ["root", "run", "tools"] {
            fs::create_dir(site.path(dir)).expect("the folder is ours");
        }
        // Nothing manages services here, and libostree insists on one.
        let systemctl = site.path("tools/systemctl");
        fs::write(&systemctl, "#!/bin/sh\nexit 0\n").expect("the folder is ours");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("it is ours");
        site.commit("2");
        site.pull();
        site.deploy("--karg=root=LABEL=X");
        let mut booted = Booted { site, root: PathBuf::new() };
        booted.boot();
        Some(booted)
    }

    /// Starts the default deployment anew: nothing in `/run` survives.
    pub fn boot(&mut self) {
        let run = self.site.path("run");
        fs::remove_dir_all(&run).expect("it is ours");
        fs::create_dir(&run).expect("it is ours");
        fs::write(run.join("ostree-booted"), "").expect("it is ours");
        let first = self.site.must("admin --print-current-dir").out;
        self.root = PathBuf::from(first.trim());
    }

    /// Runs a program of the host, or ours, inside.
    pub fn run(&self, words: &[&str]) -> Said {
        let programs = Path::new(TREFOIL).parent().expect("it lies in a directory");
        let output = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--propagation=private"])
            .args(["sh", "-ec", ENTER, "sh"])
            .arg(self.site.path(""))
            .args([&self.root, programs])
            .args(words)
            .env("PATH", "/opt:/mnt:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("unshare can be started");
        Said {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `admin` of our program, whatever comes of it.
    pub fn try_ours(&self, words: &str) -> Said {
        self.admin("trefoil", words)
    }

    /// Runs `admin` of our program, which has to succeed.
    pub fn ours(&self, words: &str) -> Said {
        let said = self.try_ours(words);
        assert!(said.ok, "{words}: {said:?}");
        said
    }

    /// Runs `admin` of the real `ostree`, which has to succeed.
    pub fn theirs(&self, words: &str) -> Said {
        let mut said = self.admin("ostree", words);
        // It remounts /sysroot, which the kernel refuses while somebody syncs the machine.
        for _ in 0..20 {
            if said.ok || !said.err.contains("Device or resource busy") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            said = self.admin("ostree", words);
        }
        assert!(said.ok, "{words}: {said:?}");
        said
    }

    fn admin(&self, program: &str, words: &str) -> Said {
        let words: Vec<&str> = [program, "admin"].into_iter().chain(words.split(' ')).collect();
        self.run(&words)
    }

    /// The status that both print.
    pub fn status(&self) -> String {
        let (ours, theirs) = (self.ours("status").out, self.theirs("status").out);
        assert_eq!(ours, theirs);
        ours
    }

    /// Commits and pulls a tree whose tool and defaults tell the version.
    pub fn update(&self, version: &str) -> String {
        self.site.tree.write("usr/bin/tool", version);
        self.site.tree.write("usr/etc/os.conf", &format!("default={version}\n"));
        let commit = self.site.commit(version);
        self.site.pull();
        commit
    }

    /// A file of the default deployment, entries read as the boot loader would.
    pub fn in_default(&self, path: &str) -> String {
        let dir = self.site.must("admin --print-current-dir").out;
        let path = Path::new(dir.trim()).join(path);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The text of all boot entries.
    pub fn entries(&self) -> String {
        let dir = self.site.path("sysroot/boot/loader/entries");
        let all = fs::read_dir(dir).expect("there are entries");
        let read = |entry: std::io::Result<fs::DirEntry>| {
            fs::read_to_string(entry.expect("it can be listed").path()).expect("it is text")
        };
        all.map(read).collect()
    }

    /// Names below the directory of trees, those of origin files left out.
    pub fn trees(&self) -> Vec<String> {
        let dir = self.site.path("sysroot/ostree/deploy/testos/deploy");
        let names = fs::read_dir(dir).expect("there are trees").map(|entry| {
            entry.expect("it can be listed").file_name().to_string_lossy().into_owned()
        });
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".origin")).collect();
        names.sort();
        names
    }

    pub fn is_staged(&self) -> bool {
        self.site.path("run/ostree/staged-deployment").exists()
    }
}
