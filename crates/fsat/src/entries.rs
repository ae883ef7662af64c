use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, RawDir, SeekFrom};

use crate::ops::Op;
use crate::{Dir, FsError, Result};

/// Room for about 500 entries a call: one call for nearly every directory of a system.
const BUFFER: usize = 32 * 1024;

/// The position behind the last entry, where the file system has one that nothing can lie behind:
/// ext4 does, and so one call tells all. Others are asked once more, since no other sign is sure:
/// a signal that comes in between ends a call early.
const END: u64 = i64::MAX as u64;

/// The type of a directory entry.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Regular file.
    Regular,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
    /// Something the kernel did not name.
    Unknown,
}

impl FileKind {
    /// The type that the `S_IFMT` bits of a mode say.
    pub fn from_mode(mode: u32) -> Self {
        FileType::from_raw_mode(mode).into()
    }

    /// The word for messages.
    pub const fn word(self) -> &'static str {
        match self {
            FileKind::Regular => "regular file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symbolic link",
            FileKind::CharDevice => "character device",
            FileKind::BlockDevice => "block device",
            FileKind::Fifo => "fifo",
            FileKind::Socket => "socket",
            FileKind::Unknown => "unknown file type",
        }
    }
}

impl From<FileType> for FileKind {
    fn from(ty: FileType) -> Self {
        match ty {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::Unknown => FileKind::Unknown,
        }
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name: one component, any bytes but `/` and NUL.
    pub name: OsString,
    /// The type, looked up where the file system does not tell it.
    pub kind: FileKind,
    /// The inode number.
    pub ino: u64,
}

impl Dir {
    /// All entries but `.` and `..`, in the order of the file system.
    pub fn entries(&self) -> Result<Vec<DirEntry>> {
        if self.was_read() {
            rustix::fs::seek(self.fd(), SeekFrom::Start(0))
                .map_err(|e| FsError::new("rewind", self.path(), e))?;
        }
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; BUFFER];
        let mut raw = RawDir::new(self.fd(), &mut buffer);
        let mut out = Vec::new();
        let mut position = 0;
        loop {
            // The next step asks the kernel for more; the last time it says there is none.
            if raw.is_buffer_empty() {
                if position == END {
                    break;
                }
                self.fs().count(Op::ReadDir);
            }
            let Some(entry) = raw.next() else { break };
            let entry = entry.map_err(|e| FsError::new(Op::ReadDir.word(), self.path(), e))?;
            position = entry.next_entry_cookie();
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = entry.file_type().into();
            out.push(DirEntry { name: name.to_os_string(), kind, ino: entry.ino() });
        }
        for entry in out.iter_mut().filter(|e| e.kind == FileKind::Unknown) {
            entry.kind = self.stat(&entry.name)?.kind();
        }
        Ok(out)
    }

    /// As [`Dir::entries`], in ascending byte order of the names.
    pub fn sorted_entries(&self) -> Result<Vec<DirEntry>> {
        let mut entries = self.entries()?;
        entries.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use crate::Fs;
    use crate::direct::EXT4;

    /// Guards that ext4 is asked once for a directory that fits one call, whatever is in it, and
    /// others not more than twice.
    #[test]
    fn one_call_is_enough_on_ext4() {
        let temp = tempfile::tempdir().expect("a folder");
        let dir = Fs::new().open_dir(temp.path()).expect("it is there");
        let most = if dir.kind().expect("it is told") == EXT4 { 1 } else { 2 };
        for count in 0..60 {
            let before = dir.fs().counters();
            assert_eq!(dir.entries().expect("listed").len(), count);
            let calls = dir.fs().counters().since(&before).readdirs;
            assert!((1..=most).contains(&calls), "{calls} calls for {count} entries");
            dir.write(&count.to_string(), b"", 0o644).expect("a file");
        }
    }
}
