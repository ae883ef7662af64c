//! Volumes that someone mounted, such as USB sticks, as file managers show them.
#![expect(clippy::disallowed_methods, reason = "what the kernel says of mounts lies in files")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use trefoil_fsat::Dir;

use crate::context::Context;
use crate::environment;
use crate::error::{Context as _, Result};

/// Not kept on a device of this machine and yet someone's files; besides those of FUSE.
const SHARES: [&str; 8] = ["9p", "cifs", "nfs", "nfs4", "smb3", "vboxsf", "virtiofs", "vmhgfs"];

/// The volumes that can be opened.
pub fn mounted(cx: &Context) -> Result<Vec<Dir>> {
    let read = |path| std::fs::read(path).context(format!("reading {path}"));
    let mounts = read("/proc/self/mountinfo")?;
    let types = String::from_utf8_lossy(&read("/proc/filesystems")?).into_owned();
    let home = environment::path("HOME");
    let mut volumes = Vec::new();
    for path in volume_paths(&mounts, &internal_types(&types), home.as_deref()) {
        match cx.fs.open_dir(&path) {
            Ok(dir) => volumes.push(dir),
            Err(e) => cx.ui.debug(format_args!("ignoring mount {}: {e}", path.display()))?,
        }
    }
    Ok(volumes)
}

/// A path without symbolic links in it.
pub fn real_path(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).context(format!("resolving {}", path.display()))
}

/// The types in `/proc/filesystems` that the kernel makes up, and that are no shares.
fn internal_types(filesystems: &str) -> BTreeSet<String> {
    let made_up = filesystems.lines().filter_map(|line| line.strip_prefix("nodev"));
    made_up.map(|name| name.trim().to_string()).filter(|name| !is_share(name)).collect()
}

fn is_share(name: &str) -> bool {
    name == "fuse" || name.starts_with("fuse.") || SHARES.contains(&name)
}

/// Where volumes are mounted: below `/media`, `/run/media` and the home directory, not within
/// anything hidden. Sorted; `mountinfo` is that of proc(5).
fn volume_paths(
    mountinfo: &[u8],
    internal: &BTreeSet<String>,
    home: Option<&Path>,
) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    for line in mountinfo.split(|byte| *byte == b'\n') {
        let Some((path, kind)) = parse_line(line) else { continue };
        // The last mount at a path hides those before it.
        paths.remove(&path);
        let public = ["/media", "/run/media"].iter().any(|dir| is_below(&path, Path::new(dir)));
        let hidden = path.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
        let shown = public || home.is_some_and(|home| is_below(&path, home));
        if shown && !hidden && !internal.contains(&kind) {
            paths.insert(path);
        }
    }
    paths
}

fn is_below(path: &Path, dir: &Path) -> bool {
    path != dir && path.starts_with(dir)
}

/// The mount point and the type of the file system of one line.
fn parse_line(line: &[u8]) -> Option<(PathBuf, String)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let path = unescape(fields.nth(4)?);
    let mut rest = fields.skip_while(|field| *field != b"-");
    let kind = rest.nth(1)?;
    Some((PathBuf::from(OsString::from_vec(path)), String::from_utf8_lossy(kind).into_owned()))
}

/// Resolves `\040` and the like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut at = 0;
    while let Some(&byte) = field.get(at) {
        let digits = field.get(at + 1..at + 4).filter(|_| byte == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) => {
                out.push(value);
                at += 4;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
30 22 8:17 / /media/me/STICK\\040ONE rw,nosuid shared:9 master:2 - vfat /dev/sdb1 rw
31 22 0:40 / /media/me/scratch rw - tmpfs tmpfs rw
32 22 8:18 / /run/media/me/two rw - ext4 /dev/sdb2 rw
33 22 8:19 / /home/me/stick rw - exfat /dev/sdc1 rw
34 22 8:20 / /home/me/.hidden/stick rw - exfat /dev/sdc2 rw
35 22 8:21 / /home/meander rw - ext4 /dev/sdd1 rw
36 22 0:41 / /home/me/phone rw - fuse.jmtpfs jmtpfs rw
37 22 0:42 / /media/me/share rw - 9p share rw
38 22 8:22 / /media/covered rw - ext4 /dev/sde1 rw
39 38 0:43 / /media/covered rw - tmpfs tmpfs rw
40 22 8:23 / /mnt rw - ext4 /dev/sdf1 rw
broken line
";

    /// What counts as a volume of someone: by place, by type, uncovered, with its real name.
    #[test]
    fn volumes_are_told_from_other_mounts() {
        let internal = internal_types(
            "nodev\tproc\nnodev\ttmpfs\n\text4\nnodev\t9p\n\tfuseblk\nnodev\tfuse\n",
        );
        let found = volume_paths(MOUNTS, &internal, Some(Path::new("/home/me")));
        let found: Vec<_> =
            found.iter().map(|path| path.to_str().expect("all are UTF-8")).collect();
        let expected = [
            "/home/me/phone",
            "/home/me/stick",
            "/media/me/STICK ONE",
            "/media/me/share",
            "/run/media/me/two",
        ];
        assert_eq!(found, expected);
    }
}
