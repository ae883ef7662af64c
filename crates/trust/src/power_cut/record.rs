//! A disk whose requests are recorded.
//!
//! `qemu-storage-daemon` shows a file that stands for the disk, by FUSE. A loop device on it
//! carries the file system. What the file system asks of the device comes to the daemon one
//! after the other, is done to the image and written to the log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::log::{Log, SECTOR};
use crate::Result;

/// Room for the log; it is a hole until it is used.
const LOG_SIZE: u64 = 8 << 30;
/// Time between two looks at what the daemon does, and how often we look.
const PAUSE: Duration = Duration::from_millis(5);
const LOOKS: u32 = 4000;

/// QEMU's words for a first disk of a virtual machine that records what is done to the image.
pub fn disk_of_machine(image: &Path, log: &Path) -> Result<Vec<String>> {
    File::create(log)?.set_len(LOG_SIZE)?;
    let nodes = nodes(image, log);
    let words = nodes.iter().flat_map(|node| ["-blockdev", node.as_str()]);
    let device = ["-device", "virtio-blk-pci,drive=disk,discard=off,write-zeroes=off"];
    Ok(words.chain(device).map(str::to_string).collect())
}

/// The image, the log, and the disk on both.
fn nodes(image: &Path, log: &Path) -> [String; 3] {
    let node = |name: &str, path: &Path| {
        format!("driver=file,node-name={name},filename={}", path.display())
    };
    let disk =
        format!("driver=blklogwrites,node-name=disk,file=image,log=log,log-sector-size={SECTOR}");
    [node("image", image), node("log", log), disk]
}

/// A running recording.
#[derive(Debug)]
pub struct Recording {
    daemon: Child,
    disk: PathBuf,
    log: Log,
}

impl Recording {
    /// Starts to record what is done to the image. The disk is the file `disk` of `dir`, which
    /// is to be mounted; the log is `log`.
    pub fn start(image: &Path, dir: &Path) -> Result<Recording> {
        let (disk, log) = (dir.join("disk"), dir.join("log"));
        File::create(&disk)?;
        File::create(&log)?.set_len(LOG_SIZE)?;
        // With its thread the daemon ends, too.
        let mut daemon = Command::new("setpriv");
        daemon.args(["--pdeathsig", "TERM", "qemu-storage-daemon"]);
        for node in nodes(image, &log) {
            daemon.args(["--blockdev", &node]);
        }
        daemon.arg("--export").arg(format!(
            "type=fuse,id=export,node-name=disk,mountpoint={},writable=on",
            disk.display()
        ));
        let daemon = daemon.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let daemon = daemon.map_err(|e| format!("setpriv: {e}"))?;
        let mut recording = Recording { daemon, disk, log: Log::open(&log)? };
        recording.wait()?;
        Ok(recording)
    }

    fn wait(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            if let Some(status) = self.daemon.try_wait()? {
                return Err(format!("qemu-storage-daemon (qemu-utils): {status}").into());
            }
            if self.disk.metadata()?.len() > 0 {
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err("qemu-storage-daemon does not serve the disk".into())
    }

    /// The file that stands for the disk.
    pub fn disk(&self) -> &Path {
        &self.disk
    }

    /// How many entries the log has at this moment.
    pub fn now(&mut self) -> Result<usize> {
        self.log.refresh()
    }

    /// How many entries the log has now that the disk is quiet.
    pub fn position(&mut self) -> Result<usize> {
        let mut seen = self.log.refresh()?;
        for _ in 0..LOOKS {
            sleep(PAUSE);
            let now = self.log.refresh()?;
            if now == seen {
                return Ok(now);
            }
            seen = now;
        }
        Err("the disk is never quiet".into())
    }

    /// Ends the recording of a disk that nobody uses any more.
    pub fn finish(mut self) -> Result<Log> {
        self.terminate();
        let status = self.daemon.wait()?;
        if !status.success() {
            return Err(format!("qemu-storage-daemon: {status}").into());
        }
        let mut log = Log::open(&self.disk.with_file_name("log"))?;
        log.refresh()?;
        log.check()?;
        Ok(log)
    }

    fn terminate(&self) {
        // One that is gone already needs no signal.
        if let Some(pid) = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.daemon.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::disk::{self, Mounted};
    use super::super::layout::Layout;
    use super::super::log::{Entry, Write};
    use super::*;
    use trefoil_testkit::ostree::{is_root, missing};

    /// Guards what all depends on: that a sync of a mounted file system is a flush in the log,
    /// behind the bytes of the file; that without one there is none; that the log makes the disk.
    #[test]
    fn a_sync_is_a_flush_behind_its_data() {
        if !is_root() || Command::new("qemu-storage-daemon").arg("--version").output().is_err() {
            return missing("recording a disk needs root and qemu-storage-daemon");
        }
        let dir = tempfile::TempDir::new().expect("a directory");
        let image = dir.path().join("image");
        for layout in Layout::ALL {
            disk::make(&image, layout).expect("a disk");
            let base = dir.path().join("base");
            disk::copy(&image, &base).expect("copied");
            let mut recording = Recording::start(&image, dir.path()).expect("started");
            let root = dir.path().join("mnt");
            let mounted = Mounted::mount(recording.disk(), layout, &root).expect("mounted");
            mounted.sync().expect("synced");
            let start = recording.position().expect("quiet");
            let mut file = File::create(root.join("file")).expect("created");
            let bytes: Vec<u8> = (0..40_960_u32).map(|n| (n % 251) as u8).collect();
            file.write_all(&bytes).expect("written");
            let unsynced = recording.now().expect("read");
            file.sync_all().expect("synced");
            let synced = recording.now().expect("read");
            drop(file);
            mounted.unmount().expect("unmounted");
            let log = recording.finish().expect("ended");
            let flushes = |range: std::ops::Range<usize>| {
                log.entries[range].iter().filter(|entry| **entry == Entry::Flush).count()
            };
            assert_eq!(flushes(start..unsynced), 0, "{layout:?}: no flush without a sync");
            assert!(flushes(unsynced..synced) > 0, "{layout:?}: no flush of a sync");
            let flush = (start..synced).rfind(|at| log.entries[*at] == Entry::Flush);
            let until = flush.expect("there is one");
            assert!(holds(&log, start..until, &bytes), "{layout:?}: the data is not before it");
            let again = disk::copy(&base, &dir.path().join("again")).expect("copied");
            log.replay(&again, 0..log.entries.len()).expect("replayed");
            let read = |name: &str| std::fs::read(dir.path().join(name)).expect("read");
            assert!(read("again") == read("image"), "{layout:?}: the log makes another disk");
        }
    }

    /// Whether the first page of `bytes` was written by these entries.
    fn holds(log: &Log, range: std::ops::Range<usize>, bytes: &[u8]) -> bool {
        let page = &bytes[..4096];
        log.entries[range].iter().any(|entry| match entry {
            Entry::Write(write @ Write { data: Some(_), .. }) => {
                log.read(write).expect("read").chunks(4096).any(|chunk| chunk == page)
            }
            _ => false,
        })
    }
}
