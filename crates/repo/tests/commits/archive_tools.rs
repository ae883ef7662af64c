//! Archives: by GNU tar, Python and cpio from directories, and entry by entry.

use std::path::Path;
use std::process::Command;

use trefoil_format::tar::{BLOCK, GnuEntry, gnu_entry, pax};

/// Packs the directory `dir` of `root` with a command of the shell, which finds `$out` set.
#[track_caller]
pub fn shell(root: &Path, dir: &str, out: &str, command: &str) {
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", command])
        .current_dir(root.join(dir))
        .env("out", root.join(out))
        .env("LC_ALL", "C.UTF-8")
        .status()
        .expect("bash runs");
    assert!(status.success(), "{command}");
}

/// A directory as Python's `tarfile` packs it, with extended attributes in pax records.
pub const PYTHON: &str = r#"python3 - <<'END'
import os, tarfile
def records(info):
    path = './' + info.name if info.name != '.' else '.'
    names = sorted(os.listxattr(path, follow_symlinks=False), reverse=True)
    info.pax_headers = {'SCHILY.xattr.' + n: os.getxattr(path, n, follow_symlinks=False).decode('latin-1')
                        for n in names if n.startswith('user.')}
    return info
with tarfile.open(os.environ['out'], 'w', format=tarfile.PAX_FORMAT) as tar:
    tar.add('.', filter=records)
END"#;

/// An archive that is put together here.
#[derive(Clone, Default)]
pub struct Archive(pub Vec<u8>);

impl Archive {
    /// One that begins with its root directory.
    pub fn new() -> Self {
        Archive::default().dir(".", 0o755)
    }

    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(path, b'5', "", mode, b"")
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, b'0', "", 0o644, content)
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, b'1', target, 0o644, b"")
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'2', target, 0o777, b"")
    }

    pub fn entry(mut self, path: &str, kind: u8, link: &str, mode: u32, content: &[u8]) -> Self {
        let (path, link) = (path.as_bytes(), link.as_bytes());
        let size = content.len() as u64;
        let entry =
            GnuEntry { path, link, kind, permissions: mode, uid: 3, gid: 4, size, mtime: 1 };
        self.0.extend(gnu_entry(&entry));
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// Records for the entry that follows.
    pub fn records(self, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            pax::push(&mut bytes, key.as_bytes(), value);
        }
        self.entry("records", b'x', "", 0, &bytes)
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }
}
