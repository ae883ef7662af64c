//! The body of an index: one record for the source directory, those of its subdirectories
//! within it.
//!
//! | bytes | what |
//! |---|---|
//! | 60 | [`Identity`] of the directory |
//! | 32, 32 | its dirmeta, its dirtree |
//! | 4, 8 | lengths of the two lists that follow |
//! | per file: 1 + n | length of the name, and the name |
//! | 60, 32 | [`Identity`] of the file, its file object |
//! | per directory: 1 + n | length of the name, and the name |
//! | ... | its record |
//!
//! Numbers are little-endian; both lists ascend by the bytes of the names. All reading is of
//! slices of one buffer, whose checksum was compared before; what does not parse all the same
//! is taken as not being there.

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Stat, Timestamp};

use crate::TreeId;

/// How long before an import a file must have been left alone for its times to tell whether it
/// is changed afterwards. The coarsest file system has a granularity of two seconds.
const SETTLED_SECS: i64 = 2;
const IDENTITY_LEN: usize = 60;
const HEAD_LEN: usize = IDENTITY_LEN + 2 * Checksum::LEN + 4 + 8;

/// What tells that an inode is the one that was imported, and unchanged: everything `stat`
/// says of it but its links and access. No call can set the change time back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity([u8; IDENTITY_LEN]);

impl Identity {
    /// Equal to that of no inode.
    const UNSETTLED: Identity = Identity([0; IDENTITY_LEN]);

    pub fn of(stat: &Stat) -> Self {
        let mut bytes = [0; IDENTITY_LEN];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&stat.dev.to_le_bytes());
        put(&stat.ino.to_le_bytes());
        // What the size of a directory says its change time says as well.
        put(&if stat.is_dir() { 0 } else { stat.size }.to_le_bytes());
        for time in [stat.mtime, stat.ctime] {
            put(&time.sec.to_le_bytes());
            put(&time.nsec.to_le_bytes());
        }
        put(&stat.mode.to_le_bytes());
        put(&stat.uid.to_le_bytes());
        put(&stat.gid.to_le_bytes());
        Identity(bytes)
    }

    /// The identity to record at `now`: none where a change right after it could have the same
    /// times, or where the clock was behind them, and none where the inode is not on `device`,
    /// whose change times are those of the kernel.
    pub fn settled(stat: &Stat, now: Timestamp, device: Option<u64>) -> Self {
        let last = stat.ctime.max(stat.mtime);
        match device == Some(stat.dev) && last.sec.saturating_add(SETTLED_SECS) < now.sec {
            true => Identity::of(stat),
            false => Identity::UNSETTLED,
        }
    }

    pub fn is_settled(&self) -> bool {
        *self != Identity::UNSETTLED
    }
}

/// A file or symbolic link as the index has it.
#[derive(Copy, Clone, Debug)]
pub(super) struct OldFile<'i> {
    pub name: &'i str,
    pub identity: Identity,
    pub checksum: Checksum,
}

/// A directory as the index has it.
#[derive(Copy, Clone, Debug)]
pub(super) struct OldDir<'i> {
    pub identity: Identity,
    pub id: TreeId,
    /// The whole record.
    pub record: &'i [u8],
    files: &'i [u8],
    dirs: &'i [u8],
}

impl<'i> OldDir<'i> {
    /// The record at the beginning of `bytes`.
    pub fn parse(bytes: &'i [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD_LEN)?;
        let mut head = head;
        let identity = take_identity(&mut head)?;
        let id = TreeId { meta: take_checksum(&mut head)?, tree: take_checksum(&mut head)? };
        let files_len = u32::from_le_bytes(take(&mut head)?);
        let dirs_len = u64::from_le_bytes(take(&mut head)?);
        let (files, rest) = rest.split_at_checked(usize::try_from(files_len).ok()?)?;
        let (dirs, _) = rest.split_at_checked(usize::try_from(dirs_len).ok()?)?;
        let record = &bytes[..HEAD_LEN + files.len() + dirs.len()];
        Some(OldDir { identity, id, record, files, dirs })
    }

    /// Its files, ascending.
    pub fn files(&self) -> Option<Vec<OldFile<'i>>> {
        let mut rest = self.files;
        let mut files = Vec::new();
        while !rest.is_empty() {
            let name = take_name(&mut rest)?;
            let identity = take_identity(&mut rest)?;
            files.push(OldFile { name, identity, checksum: take_checksum(&mut rest)? });
        }
        Some(files)
    }

    /// Its subdirectories, ascending.
    pub fn dirs(&self) -> Option<Vec<(&'i str, OldDir<'i>)>> {
        let mut rest = self.dirs;
        let mut dirs = Vec::new();
        while !rest.is_empty() {
            let name = take_name(&mut rest)?;
            let dir = OldDir::parse(rest)?;
            rest = &rest[dir.record.len()..];
            dirs.push((name, dir));
        }
        Some(dirs)
    }
}

/// The record of a directory that was walked.
#[derive(Debug)]
pub(super) enum Record<'i> {
    /// As it was.
    Same(&'i [u8]),
    /// Made anew.
    New(Box<NewRecord<'i>>),
}

/// What a new record consists of.
#[derive(Debug)]
pub(super) struct NewRecord<'i> {
    pub identity: Identity,
    pub id: TreeId,
    files: Vec<u8>,
    dirs: Vec<(String, Record<'i>)>,
}

impl<'i> NewRecord<'i> {
    pub fn new(identity: Identity, id: TreeId) -> Self {
        NewRecord { identity, id, files: Vec::new(), dirs: Vec::new() }
    }

    /// Adds a file; they come in ascending order.
    pub fn push_file(&mut self, name: &str, identity: &Identity, checksum: &Checksum) {
        push_name(&mut self.files, name);
        self.files.extend(identity.0);
        self.files.extend(checksum.as_bytes());
    }

    /// Adds a subdirectory; they come in ascending order.
    pub fn push_dir(&mut self, name: &str, record: Record<'i>) {
        self.dirs.push((name.to_string(), record));
    }
}

impl Record<'_> {
    /// Lays out the record.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let new = match self {
            Record::Same(bytes) => return out.extend_from_slice(bytes),
            Record::New(new) => new,
        };
        out.extend(new.identity.0);
        out.extend(new.id.meta.as_bytes());
        out.extend(new.id.tree.as_bytes());
        // A directory whose files fill four gigabytes is past what the format can hold anyway.
        out.extend(u32::try_from(new.files.len()).unwrap_or(u32::MAX).to_le_bytes());
        let length_at = out.len();
        out.extend([0; 8]);
        out.extend(&new.files);
        let dirs_at = out.len();
        for (name, record) in &new.dirs {
            push_name(out, name);
            record.write_to(out);
        }
        let length = (out.len() - dirs_at) as u64;
        out[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
    }
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).expect("a name of the kernel has at most 255 bytes"));
    out.extend(name.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn take_identity(rest: &mut &[u8]) -> Option<Identity> {
    take(rest).map(Identity)
}

fn take_checksum(rest: &mut &[u8]) -> Option<Checksum> {
    take::<{ Checksum::LEN }>(rest).map(Checksum::from_bytes)
}

fn take_name<'i>(rest: &mut &'i [u8]) -> Option<&'i str> {
    let (len, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked(usize::from(*len))?;
    *rest = after;
    std::str::from_utf8(name).ok()
}
