//! Disks in files: made, copied, attached, checked.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::SeekFrom;

use super::layout::{Layout, Part};
use super::tool::{self, run};
use crate::Result;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;
/// Time between two looks whether a device is gone, and how often we look.
const PAUSE: Duration = Duration::from_millis(2);
/// How often a busy file system is tried to be unmounted again, and the time between.
const UNMOUNT_TRIES: u32 = 50;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(100);
const LOOKS: u32 = 5000;

/// Waits until no loop device is on `file`, all of which go with their last user.
pub fn wait_until_free(file: &Path) -> Result<()> {
    let file = fs::canonicalize(file)?;
    for _ in 0..LOOKS {
        let mut used = false;
        for device in fs::read_dir("/sys/block")? {
            // A device may go while we look at it.
            let backing = fs::read_to_string(device?.path().join("loop/backing_file"));
            used |= backing.is_ok_and(|path| Path::new(path.trim_end()) == file);
        }
        if !used {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(format!("{} stays attached", file.display()).into())
}

/// Makes an empty disk in the new file `path`.
pub fn make(path: &Path, layout: Layout) -> Result<()> {
    let parts = layout.parts();
    File::create(path)?.set_len(parts.iter().map(|part| part.size).sum())?;
    for part in &parts {
        let device = Loop::attach(path, part)?;
        let words: &[&str] = match part.kind {
            // Everything is written now: what is written later than asked for would be recorded.
            "ext4" => &[
                "mkfs.ext4",
                "-qF",
                "-b4096",
                "-Jsize=8",
                "-Enodiscard,lazy_itable_init=0,lazy_journal_init=0",
            ],
            "xfs" => &["mkfs.xfs", "-qfK"],
            _ => &["mkfs.btrfs", "-qfK"],
        };
        run(words[0], words[1..].iter().copied().chain([device.path.as_str()]))?;
        device.detach()?;
    }
    run("fallocate", ["--dig-holes".as_ref(), path.as_os_str()]).map(drop)
}

/// Copies a file, holes as holes.
pub fn copy(from: &Path, to: &Path) -> Result<File> {
    let source = File::open(from)?;
    let dest = File::options().read(true).write(true).create(true).truncate(true).open(to)?;
    let len = source.metadata()?.len();
    dest.set_len(len)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while let Some(start) = seek(&source, SeekFrom::Data(at))? {
        let end = seek(&source, SeekFrom::Hole(start))?.unwrap_or(len);
        at = start;
        while at < end {
            let chunk = &mut buffer[..CHUNK.min((end - at) as usize)];
            source.read_exact_at(chunk, at)?;
            dest.write_all_at(chunk, at)?;
            at += chunk.len() as u64;
        }
    }
    Ok(dest)
}

/// `None` where there is nothing any more.
fn seek(file: &File, to: SeekFrom) -> Result<Option<u64>> {
    match rustix::fs::seek(file, to) {
        Ok(at) => Ok(Some(at)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(e) => Err(io::Error::from(e).into()),
    }
}

/// A loop device on a part of a file.
#[derive(Debug)]
struct Loop {
    path: String,
    /// What the kernel calls the file.
    file: String,
    detached: bool,
}

impl Loop {
    /// Not with `--direct-io`: requests then reach a FUSE file several at a time, and
    /// `qemu-storage-daemon` before 10.1 mixes up their data. Nothing is cached there anyway.
    fn attach(file: &Path, part: &Part) -> Result<Loop> {
        let mut command = std::process::Command::new("losetup");
        command.args(["--find", "--show"]).arg(format!("--offset={}", part.offset));
        command.arg(format!("--sizelimit={}", part.size)).arg(file);
        let path = tool::must(&mut command)?.trim().to_string();
        let mut device = Loop { path, file: String::new(), detached: false };
        device.file = device.read("backing_file")?;
        Ok(device)
    }

    fn read(&self, attribute: &str) -> Result<String> {
        let name = self.path.trim_start_matches("/dev/");
        Ok(fs::read_to_string(format!("/sys/block/{name}/loop/{attribute}"))?)
    }

    /// From now on the device goes with its last user.
    fn release(&mut self) -> Result<()> {
        self.detached = true;
        run("losetup", ["--detach", &self.path]).map(drop)
    }

    /// Waits until the device is free.
    fn detach(mut self) -> Result<()> {
        if !self.detached {
            self.release()?;
        }
        for _ in 0..LOOKS {
            if self.read("backing_file").ok().is_none_or(|now| now != self.file) {
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err(format!("{} does not go", self.path).into())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if !self.detached {
            let _ = self.release();
        }
    }
}

/// A disk whose file systems are mounted.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    points: Vec<PathBuf>,
    loops: Vec<Loop>,
}

impl Mounted {
    /// Mounts the disk in `file` at the directory `root`, which is made.
    pub fn mount(file: &Path, layout: Layout, root: &Path) -> Result<Mounted> {
        let mut mounted =
            Mounted { root: root.to_path_buf(), points: Vec::new(), loops: Vec::new() };
        for part in layout.parts() {
            let at = root.join(part.at);
            fs::create_dir_all(&at)?;
            let mut device = Loop::attach(file, &part)?;
            let options = match part.kind {
                "btrfs" => "noatime,nodiscard",
                _ => "noatime",
            };
            let point = at.to_string_lossy();
            let words = ["-t", part.kind, "-o", options, &device.path, &point];
            run("mount", words).map_err(|e| format!("the file system is lost: {e}"))?;
            device.release()?;
            mounted.loops.push(device);
            mounted.points.push(at);
        }
        Ok(mounted)
    }

    /// The directory of the root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Has all of it written out.
    pub fn sync(&self) -> Result<()> {
        self.points.iter().try_for_each(|at| {
            let dir = File::open(at)?;
            Ok(rustix::fs::syncfs(&dir).map_err(io::Error::from)?)
        })
    }

    /// Unmounts, and waits until nobody has the file any more.
    pub fn unmount(mut self) -> Result<()> {
        while let Some(at) = self.points.last() {
            // What ran on it may have ended a moment ago and not be gone yet.
            let mut tries = 0;
            while let Err(busy) = run("umount", [at]) {
                tries += 1;
                if tries > UNMOUNT_TRIES {
                    return Err(busy);
                }
                sleep(UNMOUNT_PAUSE);
            }
            self.points.pop();
        }
        self.loops.drain(..).try_for_each(Loop::detach)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        while let Some(at) = self.points.pop() {
            let _ = run("umount", ["--lazy".as_ref(), at.as_os_str()]);
        }
        for device in self.loops.drain(..) {
            let _ = device.detach();
        }
    }
}

/// Has the file systems' own programs check an unmounted disk. They change nothing.
pub fn check(file: &Path, layout: Layout) -> Result<()> {
    for part in layout.parts() {
        let words: &[&str] = match part.kind {
            "ext4" => &["e2fsck", "-fn"],
            "xfs" => &["xfs_repair", "-n"],
            _ => &["btrfs", "check", "--readonly", "--force"],
        };
        let output = run_on(file, &part, words)?;
        if !output.status.success() {
            let said = [&output.stderr[..], &output.stdout].map(String::from_utf8_lossy).join("; ");
            return Err(format!("the file system is damaged: {}: {said}", words.join(" ")).into());
        }
    }
    Ok(())
}

/// Runs a program with the device of an unmounted file system, whatever comes of it.
pub fn run_on(file: &Path, part: &Part, words: &[&str]) -> Result<std::process::Output> {
    let device = Loop::attach(file, part)?;
    let mut command = std::process::Command::new(words[0]);
    let output = tool::output(command.args(&words[1..]).arg(&device.path));
    device.detach()?;
    output
}
