//! Puts objects into parts.

use rayon::prelude::*;
use trefoil_delta::{ByteDiff, Match, PartBuilder, PartHeader, byte_diff};
use trefoil_format::checksum::Checksum;
use trefoil_format::object::ObjectName;

use super::difference::read_whole;
use super::memory::Memory;
use super::similar::FileInfo;
use crate::{Repo, Result};

/// What parts under construction may take together, in bytes.
const PARTS_MEMORY: u64 = 1 << 30;
/// Of the encoder, whose tables are eleven times its dictionary of at most 32 MiB.
const ENCODER: u64 = 370 << 20;
/// Threads for a part that is most of those made at the same time: more would cost more bytes than
/// a second saves.
const PART_THREADS: usize = 2;
/// What bsdiff takes for each byte of the old file, the file itself not counted.
const SUFFIX_TABLES: u64 = 16;

/// An object to be packed.
#[derive(Debug)]
pub(super) enum Item {
    Metadata { name: ObjectName, size: u64 },
    Whole { checksum: Checksum, info: FileInfo },
    Copies { checksum: Checksum, info: FileInfo, source: Checksum, copies: Vec<Match> },
    Bsdiff { checksum: Checksum, info: FileInfo, source: Checksum },
}

/// An object with everything that was read and computed for it.
enum Ready<'i> {
    Metadata(ObjectName, Vec<u8>),
    Whole(&'i Checksum, &'i FileInfo, Vec<u8>),
    Differing {
        checksum: &'i Checksum,
        info: &'i FileInfo,
        new: Vec<u8>,
        from: &'i Checksum,
        diff: ByteDiff,
    },
}

impl Item {
    /// About how much it adds to a part, in bytes.
    fn payload(&self) -> u64 {
        match self {
            Item::Metadata { size, .. } => *size,
            Item::Whole { info, .. } | Item::Bsdiff { info, .. } => info.size,
            Item::Copies { info, copies, .. } => {
                let copied = copies.iter().map(|copy| copy.len as u64).sum();
                info.size.saturating_sub(copied) + Checksum::LEN as u64
            }
        }
    }
}

pub(super) struct Packer<'r> {
    repo: &'r Repo,
    max_chunk_size: u64,
    memory: Memory,
}

impl<'r> Packer<'r> {
    pub fn new(repo: &'r Repo, max_chunk_size: u64) -> Self {
        Packer { repo, max_chunk_size, memory: Memory::default() }
    }

    /// How many parts may be under construction at a time.
    pub fn parallel(&self) -> usize {
        let one = self.max_chunk_size.saturating_mul(3).saturating_add(ENCODER);
        let fit = usize::try_from(PARTS_MEMORY / one).unwrap_or(1);
        fit.clamp(1, rayon::current_num_threads())
    }

    /// Cuts the items into parts, those that may not be needed into parts of their own. There is
    /// always one part, if an empty one, as in libostree.
    pub fn parts(&self, patched: Vec<Item>, others: Vec<Item>) -> Vec<Vec<Item>> {
        let mut parts = Vec::new();
        if !patched.is_empty() {
            self.cut(patched, &mut parts);
        }
        if !others.is_empty() || parts.is_empty() {
            self.cut(others, &mut parts);
        }
        parts
    }

    fn cut(&self, items: Vec<Item>, parts: &mut Vec<Vec<Item>>) {
        let (mut part, mut size) = (Vec::new(), 0_u64);
        for item in items {
            let payload = item.payload();
            if !part.is_empty() && size + payload > self.max_chunk_size {
                parts.push(std::mem::take(&mut part));
                size = 0;
            }
            size += payload;
            part.push(item);
        }
        parts.push(part);
    }

    /// Makes some parts, in order.
    pub fn pack(&self, parts: &[Vec<Item>]) -> Result<Vec<(Vec<u8>, PartHeader)>> {
        let payload = |items: &Vec<Item>| items.iter().map(Item::payload).sum::<u64>();
        let all: u64 = parts.iter().map(payload).sum();
        let pack = |items: &Vec<Item>| {
            let most = payload(items) > all / 2;
            self.pack_one(items, if most { PART_THREADS } else { 1 })
        };
        parts.par_iter().map(pack).collect()
    }

    fn pack_one(&self, items: &[Item], threads: usize) -> Result<(Vec<u8>, PartHeader)> {
        let ready = items.par_iter().map(|item| self.ready(item)).collect::<Result<Vec<_>>>()?;
        let mut builder = PartBuilder::new();
        for object in ready {
            match object {
                Ready::Metadata(name, bytes) => builder.metadata(name, &bytes),
                Ready::Whole(checksum, info, content) => {
                    builder.whole(*checksum, &info.header, &content);
                }
                Ready::Differing { checksum, info, new, from, diff } => {
                    builder.differing(*checksum, &info.header, &new, from, &diff);
                }
            }
        }
        Ok(builder.finish(threads)?)
    }

    fn ready<'i>(&self, item: &'i Item) -> Result<Ready<'i>> {
        let read = |checksum: &Checksum| read_whole(checksum, self.repo.load_file(checksum)?);
        Ok(match item {
            Item::Metadata { name, .. } => {
                Ready::Metadata(*name, self.repo.load_metadata(name.kind, &name.checksum)?)
            }
            Item::Whole { checksum, info } => Ready::Whole(checksum, info, read(checksum)?),
            Item::Copies { checksum, info, source, copies } => {
                let new = read(checksum)?;
                let diff = ByteDiff::Copies(copies.clone());
                Ready::Differing { checksum, info, new, from: source, diff }
            }
            Item::Bsdiff { checksum, info, source } => {
                let object = self.repo.load_file(source)?;
                let _held = self.memory.take(object.size.saturating_mul(SUFFIX_TABLES + 1));
                let (old, new) = (read_whole(source, object)?, read(checksum)?);
                let diff = byte_diff(&old, &new)?;
                Ready::Differing { checksum, info, new, from: source, diff }
            }
        })
    }
}
