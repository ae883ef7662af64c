//! Boot loaders that programs of the system configure, and the freeze of `/boot`.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tempfile::TempDir;
use trefoil_testkit::ostree::{is_root, missing};

use crate::booted::Booted;
use crate::site::{REF, Site, TREFOIL};
use crate::support::{Said, need_ostree};

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Guards the text that scripts of grub2-mkconfig take from us.
#[test]
fn grub2_generate_prints_what_ostree_prints() {
    if !need_ostree() {
        return;
    }
    let site = Site::new();
    site.deploy("--karg=root=LABEL=X --karg=quiet");
    site.tree.write("usr/bin/tool", "2");
    site.commit("2");
    site.pull();
    site.deploy("");
    for more in ["", "_OSTREE_GRUB2_IS_EFI=1 ", "_OSTREE_GRUB2_BOOTVERSION=1 "] {
        let generate = |program: &str| -> Said {
            let known = "GRUB2_BOOT_DEVICE_ID=hd0 GRUB2_PREPARE_ROOT_CACHE=search";
            let words = format!("{more}{known} {program} admin instutil grub2-generate");
            site.run("env", &words)
        };
        let (theirs, ours) = (generate("ostree"), generate(TREFOIL));
        assert!(theirs.ok && ours.ok, "{theirs:?} {ours:?}");
        assert_eq!(ours.out, theirs.out, "{more}");
    }
    let said = site.trefoil("admin instutil grub2-generate");
    assert!(!said.ok && said.error_line().contains("GRUB2_BOOT_DEVICE_ID"), "{said:?}");
}

/// Guards GRUB on an EFI system partition, which knows no links: the configuration is replaced
/// there, the old one kept, and the line that people see says that this is not atomic.
#[test]
fn grub2_on_an_efi_partition() {
    if !need_ostree() {
        return;
    }
    let site = Site::new();
    let dir = site.path("sysroot/boot/efi/EFI/test");
    fs::create_dir_all(&dir).expect("the sysroot is ours");
    fs::write(dir.join("grub.cfg"), "first\n").expect("the sysroot is ours");
    script(&site.path("gen"), "echo v$_OSTREE_GRUB2_BOOTVERSION efi$_OSTREE_GRUB2_IS_EFI > \"$2\"");
    let deploy = |program: &str| {
        let exec = format!("OSTREE_GRUB2_EXEC={}", site.path("gen").display());
        site.run("env", &format!("{exec} {program} admin deploy --os=testos origin:{REF}"))
    };
    let text = |name: &str| fs::read_to_string(dir.join(name)).expect("there is one");
    for (program, new, old) in
        [(TREFOIL, "v1 efi1\n", "first\n"), ("ostree", "v0 efi1\n", "v1 efi1\n")]
    {
        site.tree.set_kernel("6.1.0", program, None);
        site.commit("3");
        site.pull();
        let said = deploy(program);
        assert!(said.out.contains("Bootloader updated; bootconfig swap: yes"), "{said:?}");
        assert_eq!((text("grub.cfg").as_str(), text("grub.cfg.old").as_str()), (new, old));
        assert!(!dir.join("grub.cfg.new").exists());
    }
    let before = site.snapshot();
    script(&site.path("gen"), "exit 3");
    site.tree.set_kernel("6.1.0", "another", None);
    site.commit("4");
    site.pull();
    let said = deploy(TREFOIL);
    assert!(!said.ok && said.error_line().contains("exit status: 3"), "{said:?}");
    let entry = |lines: &[String]| lines.iter().filter(|l| l.contains("/loader ")).count();
    assert_eq!(entry(&before), entry(&site.snapshot()));
    assert_eq!(text("grub.cfg"), "v0 efi1\n");
}

/// Guards the loaders whose program runs after the swap, and that a run which died before it is
/// made up for.
#[test]
fn zipl_and_aboot_run_after_the_swap() {
    let Some(booted) = Booted::new() else { return };
    let tools = booted.site.path("tools");
    script(&tools.join("zipl"), "echo zipl $* >> /run/calls; exit $(cat /run/zipl-fails)");
    script(&tools.join("aboot-deploy"), "echo aboot $* >> /run/calls");
    let run = |name: &str| booted.site.path("run").join(name);
    let config = |word: &str| {
        booted
            .site
            .must(&format!("config --repo=sysroot/ostree/repo set sysroot.bootloader {word}"));
    };
    let deploy = format!("deploy origin:{REF}");
    let stamp = booted.site.path("sysroot/boot/ostree-bootloader-update.stamp");
    fs::write(run("zipl-fails"), "1").expect("it is ours");
    config("zipl");
    booted.update("3");
    let said = booted.try_ours(&deploy);
    assert!(!said.ok && said.error_line().contains("zipl: ended with"), "{said:?}");
    assert!(stamp.exists());
    fs::write(run("zipl-fails"), "0").expect("it is ours");
    booted.ours("instutil set-kargs --merge --append=more");
    assert!(!stamp.exists());
    let calls = fs::read_to_string(run("calls")).expect("it was called");
    assert_eq!(calls, "zipl --secure auto -V\n".repeat(2));

    fs::remove_file(run("calls")).expect("it is ours");
    config("aboot");
    booted.site.tree.write("usr/lib/modules/6.1.0/aboot.img", "image");
    booted.update("4");
    booted.ours(&deploy);
    let calls = fs::read_to_string(run("calls")).expect("it was called");
    assert!(calls.starts_with("aboot -r . -c /ostree/deploy/testos/deploy/"), "{calls}");
    assert!(calls.contains("/usr/lib/ostree-boot/aboot.cfg -o root=LABEL=X "), "{calls}");
    assert!(calls.ends_with("/aboot-6.1.0.img\n") && !stamp.exists(), "{calls}");
}

/// An ext4 of its own, which freezes nobody else.
struct Ext4 {
    dir: TempDir,
}

impl Ext4 {
    /// `None` where none can be mounted; that was said.
    fn mount() -> Option<Ext4> {
        if !is_root() {
            missing("freezing a file system needs root");
            return None;
        }
        let ext4 = Ext4 { dir: TempDir::new().expect("a temporary directory can be made") };
        fs::create_dir(ext4.path()).expect("the folder is ours");
        let image = ext4.dir.path().join("image");
        let file = fs::File::create(&image).expect("the folder is ours");
        file.set_len(16 << 20).expect("there is room");
        let run = |words: &[&str]| {
            let output = Command::new(words[0]).args(&words[1..]).output();
            output.is_ok_and(|output| output.status.success())
        };
        let (image, path) = (image.display().to_string(), ext4.path().display().to_string());
        if run(&["mkfs.ext4", "-q", &image]) && run(&["mount", "-o", "loop", &image, &path]) {
            return Some(ext4);
        }
        missing("no ext4 can be mounted from a file here");
        None
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn fsfreeze(&self, action: &str) -> bool {
        let status = Command::new("/usr/sbin/fsfreeze").arg(action).arg(self.path()).output();
        status.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        self.fsfreeze("-u");
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn start_watchdog(ext4: &Ext4) -> (Child, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let dir = fs::File::open(ext4.path()).expect("it is mounted");
    let child = Command::new(TREFOIL)
        .args(["admin", "thaw-watchdog"])
        .stdin(OwnedFd::from(theirs))
        .stdout(dir)
        .spawn()
        .expect("the program can be started");
    let mut ready = [0];
    ours.read_exact(&mut ready).expect("it says that it is ready");
    ours.write_all(b"!").expect("it listens");
    (child, ours)
}

/// Guards that a frozen `/boot` is thawed when the process that froze it dies, that SIGTERM
/// does not keep the watchdog from it, and that it leaves alone what is none of its business.
#[test]
fn the_watchdog_thaws_for_the_dead() {
    let Some(ext4) = Ext4::mount() else { return };
    let (mut child, link) = start_watchdog(&ext4);
    assert!(ext4.fsfreeze("-f"));
    let term = Command::new("kill").arg(child.id().to_string()).status();
    assert!(term.expect("kill can be started").success());
    drop(link);
    assert!(child.wait().expect("it ends").success());
    assert!(!ext4.fsfreeze("-u"), "it was thawed already");
    fs::write(ext4.path().join("file"), "x").expect("writable again");

    let (mut child, mut link) = start_watchdog(&ext4);
    assert!(ext4.fsfreeze("-f"));
    link.write_all(b"!").expect("it listens");
    assert!(child.wait().expect("it ends").success());
    assert!(ext4.fsfreeze("-u"), "it was told that all is well");
}

/// Guards that a deploy freezes `/boot` before and after the swap, and leaves it writable.
#[test]
fn a_deploy_freezes_boot() {
    let Some(ext4) = Ext4::mount() else { return };
    let site = Site::new();
    let boot = site.path("sysroot/boot");
    fs::remove_dir(&boot).expect("it is empty");
    std::os::unix::fs::symlink(ext4.path(), &boot).expect("the sysroot is ours");
    let view = site.json(&format!("admin deploy --os=testos origin:{REF} --json"));
    let phases = view["phases"].as_array().expect("phases");
    let boot_phase = phases.iter().find(|phase| phase["name"] == "boot").expect("one");
    assert_eq!(boot_phase["operations"]["freezes"], 2, "{boot_phase}");
    assert_eq!(boot_phase["operations"]["syncfs"], 1, "the data, once: {boot_phase}");
    assert!(!ext4.fsfreeze("-u"), "nothing is left frozen");
    fs::write(ext4.path().join("file"), "x").expect("writable");

    site.tree.write("usr/bin/tool", "2");
    site.commit("1");
    site.pull();
    site.deploy("");
    site.tree.write("usr/bin/tool", "3");
    site.commit("1");
    site.pull();
    let view = site.json(&format!("admin deploy --os=testos origin:{REF} --json"));
    let freezes: u64 = view["phases"]
        .as_array()
        .expect("phases")
        .iter()
        .filter_map(|phase| phase["operations"]["freezes"].as_u64())
        .sum();
    assert_eq!(freezes, 0, "links alone are nothing that a boot loader reads");
}
