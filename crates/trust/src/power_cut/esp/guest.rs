//! A small Linux in QEMU, for what the kernel of this machine has not: FAT.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::super::lab::{Machine, STATEROOT};
use super::super::log::SECTOR;
use super::super::tool::{must, run};
use crate::Result;

/// What the kernel loads, in this order: disks, FAT, and the characters of its names.
const MODULES: [&str; 10] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
    "fat",
    "vfat",
    "nls_cp437",
    "nls_ascii",
];
/// Time between two looks whether a machine has ended, and how often we look: ten minutes.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 12_000;

/// What every machine does first, and what its act may call: `attach` and `detach` a disk, `mark` a
/// moment in its log, `program` with words.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin OSTREE_SYSROOT=/s OSTREE_GRUB2_EXEC=/bin/generate
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in /m/*.ko; do insmod $module; done
attach() {
  mount -t ext4 -o noatime /dev/${1}3 /s && mount -t ext4 -o noatime /dev/${1}2 /s/boot &&
    mount -t vfat -o umask=0077,shortname=winnt /dev/${1}1 /s/boot/efi
}
detach() { umount /s/boot/efi; umount /s/boot; umount /s; }
mark() {
  echo "trefoil-mark $1" | dd of=/dev/vda bs=512 seek=1024 conv=sync,fsync,notrunc status=none
}
program() {
  n=$(($(cat /run/boot 2>/dev/null || echo 0) + 1)); echo $n >/run/boot
  OSTREE_BOOTID=00000000-0000-4000-9000-$(printf %012d $n) PROGRAM "$@"
}
. /act
sync
poweroff -f
"#;

/// Stands in for `grub2-mkconfig`, which would look at the running system: it writes what that one's
/// script for OSTree does, in the way that one writes: beside the file, then copied into it.
const GENERATE: &str = r#"#!/bin/busybox sh
[ "$1" = -o ] || exit 2
export GRUB2_BOOT_DEVICE_ID=esp GRUB2_PREPARE_ROOT_CACHE='search --label boot'
{
  echo '# written by a stand-in for grub2-mkconfig'
  PROGRAM admin instutil grub2-generate || exit 3
} >$2.new || exit 3
cat $2.new >$2
rm -f $2.new
"#;

/// Where `mark` writes: between the partition table and the first partition.
pub const MARK: u64 = 1024 * SECTOR;

/// What it takes to start machines.
#[derive(Debug)]
pub struct Guest {
    dir: PathBuf,
    kernel: PathBuf,
    initramfs: Vec<u8>,
}

impl Guest {
    /// Gathers kernel, modules and programs. `package` is an unpacked kernel of Debian; `machine`
    /// is what names the program that is tried.
    pub fn new(dir: &Path, package: &Path, machine: &Machine<'_>) -> Result<Guest> {
        let tree = dir.join("initramfs");
        for name in ["bin", "sbin", "dev", "proc", "sys", "run", "s", "m", "usr/sbin", "etc"] {
            fs::create_dir_all(tree.join(name))?;
        }
        let modules = find(&package.join("lib/modules"), |name| name.ends_with(".ko"))?;
        for (at, name) in MODULES.iter().enumerate() {
            let file = format!("{name}.ko");
            let from = modules.iter().find(|path| path.ends_with(&file));
            let from = from.ok_or_else(|| format!("{} has no {file}", package.display()))?;
            fs::copy(from, tree.join(format!("m/{at:02}-{file}")))?;
        }
        let program = machine.binary();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add_program(&tree, Path::new("/bin/busybox"), "bin/busybox")?;
        add_program(&tree, Path::new("/usr/sbin/fsfreeze"), "usr/sbin/fsfreeze")?;
        add_program(&tree, Path::new("/usr/sbin/fsck.fat"), "usr/sbin/fsck.fat")?;
        add_program(&tree, program, &format!("bin/{name}"))?;
        run("strip", [tree.join("bin").join(&name)])?;
        for (path, text) in [("init", INIT), ("bin/generate", GENERATE)] {
            fs::write(tree.join(path), text.replace("PROGRAM", &name))?;
            fs::set_permissions(tree.join(path), fs::Permissions::from_mode(0o755))?;
        }
        let kernel = find(&package.join("boot"), |name| name.starts_with("vmlinuz"))?;
        let kernel = kernel.first().ok_or_else(|| format!("no kernel in {}", package.display()))?;
        let (dir, kernel) = (dir.to_path_buf(), kernel.clone());
        Ok(Guest { dir, kernel, initramfs: archive(&tree)? })
    }

    /// Has a machine with these disks do an act, and gives what its console showed.
    pub fn run(&self, act: &str, disks: &[String]) -> Result<String> {
        let tree = self.dir.join("act");
        fs::create_dir_all(&tree)?;
        fs::write(tree.join("act"), act.replace("STATEROOT", STATEROOT))?;
        let initramfs = self.dir.join("initramfs.img");
        fs::write(&initramfs, [&self.initramfs[..], &archive(&tree)?].concat())?;
        let (console, errors) = (self.dir.join("console"), self.dir.join("qemu"));
        File::create(&console)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "qemu-system-x86_64", "-machine", "q35"]);
        // A kvm device that opens is no proof that it works.
        command.args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512M"]);
        command.args(["-display", "none", "-nodefaults", "-no-reboot", "-append"]);
        command.arg("console=ttyS0 quiet panic=-1");
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&initramfs);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.args(disks).stdin(Stdio::null()).stdout(Stdio::null());
        let mut machine = command.stderr(File::create(&errors)?).spawn()?;
        for _ in 0..LOOKS {
            if let Some(status) = machine.try_wait()? {
                let said = String::from_utf8_lossy(&fs::read(&console)?).replace('\r', "");
                return match status.success() {
                    true => Ok(said),
                    false => Err(format!("qemu: {status}: {}", fs::read_to_string(errors)?).into()),
                };
            }
            sleep(PAUSE);
        }
        machine.kill()?;
        machine.wait()?;
        let said = String::from_utf8_lossy(&fs::read(&console)?).into_owned();
        Err(format!("the virtual machine does not end; it said: {said}").into())
    }
}

/// QEMU's words for a disk whose writes are not recorded.
pub fn plain_disk(file: &Path, number: usize) -> Vec<String> {
    let drive =
        format!("if=none,id=disk{number},format=raw,cache=unsafe,file={}", file.to_string_lossy());
    let device = format!("virtio-blk-pci,drive=disk{number}");
    ["-drive".into(), drive, "-device".into(), device].to_vec()
}

/// Files below `dir` whose name is one that was asked for.
fn find(dir: &Path, wanted: fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(find(&entry.path(), wanted)?);
        } else if wanted(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Copies a program and the libraries that it is linked with.
fn add_program(tree: &Path, program: &Path, to: &str) -> Result<()> {
    fs::copy(program, tree.join(to)).map_err(|e| format!("{}: {e}", program.display()))?;
    // It says so, and fails, of a program that is linked with none.
    let said = super::super::tool::output(Command::new("ldd").arg(program))?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    for library in said.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = tree.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap_or(tree))?;
        fs::copy(library, to)?;
    }
    Ok(())
}

/// A directory as an archive that the kernel unpacks.
fn archive(tree: &Path) -> Result<Vec<u8>> {
    let to = tree.with_extension("cpio");
    let mut command = Command::new("sh");
    command.args(["-ec", "cd \"$1\"; find . | cpio -o -H newc --quiet -R 0:0 >\"$2\"", "sh"]);
    must(command.arg(tree).arg(&to))?;
    Ok(fs::read(to)?)
}
