//! The file form of [`EtcIndex`].
//!
//! `TrefEtc` and a version byte; the commit; the time of sealing; the entries in ascending
//! order of path, each with the prefix it shares with its predecessor; the paths that are gone;
//! and the SHA-256 of all that. Numbers are LEB128, times signed as zigzag.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use trefoil_format::checksum::Checksum;
use trefoil_fsat::Timestamp;

use super::index::{Entry, EtcIndex, Relation, Stamp};

const MAGIC: &[u8; 8] = b"TrefEtc\x01";
const SUM: usize = 32;
const DAMAGED: &str = "it is damaged";
const RELATIONS: [Relation; 5] =
    [Relation::Default, Relation::Same, Relation::Modified, Relation::Added, Relation::Replaced];

type Parsed<T> = Result<T, &'static str>;

pub(crate) fn encode(index: &EtcIndex) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(index.commit.as_bytes());
    put_time(&mut out, index.sealed);
    put(&mut out, index.entries.len() as u64);
    let mut last: &[u8] = b"";
    for (path, entry) in &index.entries {
        last = put_path(&mut out, last, path);
        out.push(entry.relation as u8);
        out.extend_from_slice(entry.id.as_bytes());
        let Stamp { ino, mode, uid, gid, size, mtime, ctime } = entry.stamp;
        for number in [ino, mode.into(), uid.into(), gid.into(), size] {
            put(&mut out, number);
        }
        put_time(&mut out, mtime);
        put_time(&mut out, ctime);
    }
    put(&mut out, index.gone.len() as u64);
    last = b"";
    for path in &index.gone {
        last = put_path(&mut out, last, path);
    }
    let sum = Checksum::of(&out);
    out.extend_from_slice(sum.as_bytes());
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Parsed<EtcIndex> {
    if !bytes.starts_with(MAGIC) {
        return Err("it is of another version or not an index");
    }
    let Some((body, sum)) = bytes.split_last_chunk::<SUM>() else { return Err(DAMAGED) };
    if Checksum::of(body).as_bytes() != sum {
        return Err(DAMAGED);
    }
    let mut reader = Reader { rest: &body[MAGIC.len()..] };
    let commit = reader.checksum()?;
    let sealed = reader.time()?;
    // They are in order: a map made of all of them compares each path once or twice, one that
    // grows compares it a dozen times, which was a fifth of a whole deploy.
    let mut listed = Vec::new();
    let mut last = Vec::new();
    for _ in 0..reader.number()? {
        listed.push((reader.path(&mut last)?, reader.entry()?));
    }
    let count = listed.len();
    let entries = BTreeMap::from_iter(listed);
    if entries.len() != count {
        return Err(DAMAGED);
    }
    let mut gone = BTreeSet::new();
    last.clear();
    for _ in 0..reader.number()? {
        gone.insert(reader.path(&mut last)?);
    }
    match reader.rest {
        [] => Ok(EtcIndex { commit, sealed, entries, gone }),
        _ => Err(DAMAGED),
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    put(out, ((time.sec << 1) ^ (time.sec >> 63)) as u64);
    put(out, time.nsec.into());
}

fn put_path<'a>(out: &mut Vec<u8>, last: &[u8], path: &'a Path) -> &'a [u8] {
    let bytes = path.as_os_str().as_bytes();
    let shared = last.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    put(out, shared as u64);
    put(out, (bytes.len() - shared) as u64);
    out.extend_from_slice(&bytes[shared..]);
    bytes
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Parsed<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(DAMAGED)?;
        self.rest = rest;
        Ok(head)
    }

    fn number(&mut self) -> Parsed<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take(1)? else { return Err(DAMAGED) };
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DAMAGED)
    }

    fn small(&mut self) -> Parsed<u32> {
        u32::try_from(self.number()?).map_err(|_| DAMAGED)
    }

    fn time(&mut self) -> Parsed<Timestamp> {
        let zigzag = self.number()?;
        let sec = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Ok(Timestamp { sec, nsec: self.small()? })
    }

    fn checksum(&mut self) -> Parsed<Checksum> {
        let bytes: [u8; SUM] = self.take(SUM)?.try_into().map_err(|_| DAMAGED)?;
        Ok(Checksum::from_bytes(bytes))
    }

    fn path(&mut self, last: &mut Vec<u8>) -> Parsed<PathBuf> {
        let shared = usize::try_from(self.number()?).map_err(|_| DAMAGED)?;
        let rest = usize::try_from(self.number()?).map_err(|_| DAMAGED)?;
        if shared > last.len() {
            return Err(DAMAGED);
        }
        last.truncate(shared);
        last.extend_from_slice(self.take(rest)?);
        let plain = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
        let root = last.is_empty();
        match !last.contains(&0) && (root || last.split(|byte| *byte == b'/').all(plain)) {
            true => Ok(PathBuf::from(OsString::from_vec(last.clone()))),
            false => Err(DAMAGED),
        }
    }

    fn entry(&mut self) -> Parsed<Entry> {
        let [code] = self.take(1)? else { return Err(DAMAGED) };
        let relation = *RELATIONS.get(usize::from(*code)).ok_or(DAMAGED)?;
        let id = self.checksum()?;
        let stamp = Stamp {
            ino: self.number()?,
            mode: self.small()?,
            uid: self.small()?,
            gid: self.small()?,
            size: self.number()?,
            mtime: self.time()?,
            ctime: self.time()?,
        };
        Ok(Entry { relation, id, stamp })
    }
}
