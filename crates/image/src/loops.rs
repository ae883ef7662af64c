//! Loop devices, by what the kernel tells of them in /sys.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use trefoil_fsat::{Dir, Fs, FsError};

use crate::{ImageError, Result};

/// Largest file we read there.
const LIMIT: u64 = 1 << 16;
const SECTOR: u64 = 512;
/// Time between two looks at a device that is about to go, and how often we look.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: u32 = 250;

/// A device that is attached to a file.
struct Attached {
    name: String,
    /// It goes with its last user.
    auto_clear: bool,
}

/// Waits for devices on the file `identity` that are about to go: those of a run that was
/// killed.
///
/// # Errors
/// A device that somebody attached to stay, or that is still used.
pub(crate) fn require_none(fs: &Fs, path: &Path, identity: (u64, u64)) -> Result<()> {
    for look in 0.. {
        let found = attached_to(fs, identity)?;
        let Some(device) = found.first() else { return Ok(()) };
        if !device.auto_clear || look == LOOKS {
            let by = format!("/dev/{} is attached to it; see losetup --detach", device.name);
            return Err(ImageError::InUse { path: path.to_path_buf(), by });
        }
        sleep(PAUSE);
    }
    Ok(())
}

fn attached_to(fs: &Fs, identity: (u64, u64)) -> Result<Vec<Attached>> {
    let (block, root) = (fs.open_dir("/sys/block")?, fs.open_dir("/")?);
    let mut found = Vec::new();
    for entry in block.entries()? {
        let Some(name) = entry.name.to_str().filter(|name| name.starts_with("loop")) else {
            continue;
        };
        let dir = block.open_dir_following(name)?;
        let Some(backing) = dir.read_opt("loop/backing_file", LIMIT).or_else(gone)? else {
            continue;
        };
        let backing = String::from_utf8_lossy(&backing);
        let backing = backing.trim_end_matches('\n').trim_start_matches('/');
        let same = root.stat_following(backing).is_ok_and(|stat| stat.identity() == identity);
        if same {
            let auto = dir.read_opt("loop/autoclear", LIMIT).or_else(gone)?.unwrap_or_default();
            found.push(Attached { name: name.to_string(), auto_clear: auto.starts_with(b"1") });
        }
    }
    Ok(found)
}

/// A device may go between two looks at it: the kernel says so in several ways.
fn gone(error: FsError) -> Result<Option<Vec<u8>>> {
    let errors = [nix::libc::ENXIO, nix::libc::ENODEV];
    match error.errno() {
        Some(errno) if errors.contains(&errno) => Ok(None),
        _ => Err(error.into()),
    }
}

/// Bytes written to each loop device since the machine started.
pub(crate) fn written(fs: &Fs) -> Result<Vec<(String, u64)>> {
    let block = fs.open_dir("/sys/block")?;
    let mut all = Vec::new();
    for entry in block.entries()? {
        if let Some(name) = entry.name.to_str().filter(|name| name.starts_with("loop")) {
            all.push((name.to_string(), written_to(&block, name)?));
        }
    }
    Ok(all)
}

/// Bytes written to one device since the machine started.
pub(crate) fn written_to(block: &Dir, name: &str) -> Result<u64> {
    let text = block.open_dir_following(name)?.read("stat", LIMIT)?;
    let text = String::from_utf8_lossy(&text);
    // The seventh number counts written sectors.
    let sectors = text.split_whitespace().nth(6).and_then(|n| n.parse::<u64>().ok());
    Ok(sectors.unwrap_or(0) * SECTOR)
}

/// What is mounted somewhere.
pub(crate) struct Mounted {
    /// The kind of file system.
    pub kind: String,
    /// Its device.
    pub device: PathBuf,
}

/// What is mounted at `path` in the mount namespace of this thread.
pub(crate) fn mounted_at(fs: &Fs, path: &Path) -> Result<Option<Mounted>> {
    let text = fs.open_dir("/proc/thread-self")?.read("mountinfo", 1 << 24)?;
    let text = String::from_utf8_lossy(&text);
    let at = |line: &&str| line.split(' ').nth(4).map(Path::new) == Some(path);
    let rest = text.lines().rev().find(at).and_then(|line| line.split_once(" - "));
    let mut words = rest.map(|(_, rest)| rest.split(' ')).into_iter().flatten();
    Ok(match (words.next(), words.next()) {
        (Some(kind), Some(device)) => {
            Some(Mounted { kind: kind.to_string(), device: PathBuf::from(device) })
        }
        _ => None,
    })
}
