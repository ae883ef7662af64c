//! One record of a seal log: a commit and the changes that led to it.
//!
//! | bytes | what |
//! |---|---|
//! | 32 | checksum of the commit the tree holds after these changes |
//! | per change: 1 | 1 set, 2 removed |
//! | 2 + n | length of the path, little-endian, and the path, UTF-8 |
//! | 20, for set | inode, change time in seconds, nanoseconds, little-endian |

use trefoil_format::checksum::Checksum;

use super::seal::{DirSeal, SealChange};

const SET: u8 = 1;
const REMOVED: u8 = 2;

/// Lays out one record.
pub(crate) fn encode(commit: &Checksum, changes: &[SealChange]) -> Vec<u8> {
    let mut out = commit.as_bytes().to_vec();
    for change in changes {
        let (tag, path) = match change {
            SealChange::Set(path, _) => (SET, path),
            SealChange::Removed(path) => (REMOVED, path),
        };
        let len = u16::try_from(path.len()).expect("a path of the kernel has at most 4096 bytes");
        out.push(tag);
        out.extend(len.to_le_bytes());
        out.extend(path.as_bytes());
        if let SealChange::Set(_, seal) = change {
            out.extend(seal.ino.to_le_bytes());
            out.extend(seal.ctime_sec.to_le_bytes());
            out.extend(seal.ctime_nsec.to_le_bytes());
        }
    }
    out
}

/// Reads one record, `None` where the bytes are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Checksum, Vec<SealChange>)> {
    let (commit, mut rest) = bytes.split_first_chunk::<{ Checksum::LEN }>()?;
    let mut changes = Vec::new();
    while let Some((tag, after)) = rest.split_first() {
        let (len, after) = after.split_first_chunk::<2>()?;
        let (path, after) = after.split_at_checked(u16::from_le_bytes(*len).into())?;
        let path = std::str::from_utf8(path).ok()?.to_string();
        rest = after;
        changes.push(match *tag {
            SET => SealChange::Set(path, take_seal(&mut rest)?),
            REMOVED => SealChange::Removed(path),
            _ => return None,
        });
    }
    Some((Checksum::from_bytes(*commit), changes))
}

fn take_seal(rest: &mut &[u8]) -> Option<DirSeal> {
    let (ino, after) = rest.split_first_chunk::<8>()?;
    let (sec, after) = after.split_first_chunk::<8>()?;
    let (nsec, after) = after.split_first_chunk::<4>()?;
    *rest = after;
    Some(DirSeal {
        ino: u64::from_le_bytes(*ino),
        ctime_sec: i64::from_le_bytes(*sec),
        ctime_nsec: u32::from_le_bytes(*nsec),
    })
}
