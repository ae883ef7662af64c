//! Decides how each new object is told.

use std::collections::HashSet;
use std::io::Read;

use rayon::prelude::*;
use trefoil_delta::{ByteDiff, Match, Rollsum, byte_copies, matches};
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

use super::find::{Difference, NewFile};
use super::memory::Memory;
use super::similar::{FileInfo, OldNames, file_info};
use super::{Fallback, GenerateOptions, GenerateReport, Item, stored_size};
use crate::{Repo, RepoError, Result};

/// Two files that are compared are held in memory; larger ones, in bytes together, are not.
const COMPARE_LIMIT: u64 = 512 << 20;

/// A file with no more new bytes than this is told by copies, without a look at whether bsdiff
/// finds yet more to copy.
const FEW_BYTES: u64 = 1024;

/// How a regular file is told.
#[derive(Debug)]
enum Way {
    Whole,
    Rollsum {
        source: Checksum,
        copies: Vec<Match>,
    },
    /// The few bytes that differ, and copies of the rest.
    Copies {
        source: Checksum,
        copies: Vec<Match>,
    },
    Bsdiff {
        source: Checksum,
    },
}

struct Told<'d> {
    file: &'d NewFile,
    info: FileInfo,
    modified: bool,
    way: Way,
}

/// What a delta has to bring.
pub(super) struct Items {
    /// Dirtrees that need not be read by who knows how to make them of old ones.
    pub patched: Vec<Item>,
    /// Everything else, in order: metadata, files by their difference, whole files, symbolic
    /// links.
    pub others: Vec<Item>,
    /// Files that are too large for it.
    pub fallbacks: Vec<Fallback>,
}

/// The objects to be packed.
pub(super) fn items(
    repo: &Repo,
    difference: &Difference,
    options: &GenerateOptions<'_>,
    report: &mut GenerateReport,
) -> Result<Items> {
    let names = OldNames::new(&difference.old_files);
    let memory = Memory::default();
    let tell = |file| tell(repo, &names, file, options, &memory);
    let told = difference.files.par_iter().map(tell).collect::<Result<Vec<Told<'_>>>>()?;
    let patched: HashSet<_> = difference.patches.iter().map(|patch| patch.to).collect();
    let mut groups = Groups::default();
    for name in &difference.metadata {
        let size = stored_size(repo, name)?;
        report.loose_bytes += size;
        let is_patched = name.kind == ObjectType::DirTree && patched.contains(&name.checksum);
        let group = if is_patched { &mut groups.patched } else { &mut groups.metadata };
        group.push(Item::Metadata { name: *name, size });
    }
    for told in told {
        report.modified += usize::from(told.modified);
        groups.add(repo, told, options.min_fallback_size, report)?;
    }
    report.fallbacks = groups.fallbacks.len();
    let Groups { patched, metadata, chunked, by_bytes, whole, links, fallbacks } = groups;
    let others = [metadata, chunked, by_bytes, whole, links].into_iter().flatten().collect();
    Ok(Items { patched, others, fallbacks })
}

/// The items in the order they are packed.
#[derive(Default)]
struct Groups {
    patched: Vec<Item>,
    metadata: Vec<Item>,
    chunked: Vec<Item>,
    by_bytes: Vec<Item>,
    whole: Vec<Item>,
    links: Vec<Item>,
    fallbacks: Vec<Fallback>,
}

impl Groups {
    fn add(
        &mut self,
        repo: &Repo,
        told: Told<'_>,
        min_fallback_size: u64,
        report: &mut GenerateReport,
    ) -> Result<()> {
        let Told { file, info, way, .. } = told;
        let checksum = file.checksum;
        let is_link = info.header.is_symlink();
        *(if is_link { &mut report.symlinks } else { &mut report.regular }) += 1;
        match way {
            Way::Rollsum { source, copies } => {
                report.rollsum += 1;
                report.rollsum_bytes += copies.iter().map(|copy| copy.len as u64).sum::<u64>();
                self.chunked.push(Item::Copies { checksum, info, source, copies });
            }
            Way::Copies { source, copies } => {
                report.bsdiff += 1;
                self.by_bytes.push(Item::Copies { checksum, info, source, copies });
            }
            Way::Bsdiff { source } => {
                report.bsdiff += 1;
                self.by_bytes.push(Item::Bsdiff { checksum, info, source });
            }
            Way::Whole => {
                let name = ObjectName::new(checksum, ObjectType::File);
                let size = stored_size(repo, &name)?;
                if min_fallback_size > 0 && info.size > min_fallback_size {
                    self.fallbacks.push(Fallback { name, size, usize: info.size });
                    return Ok(());
                }
                report.loose_bytes += size;
                let group = if is_link { &mut self.links } else { &mut self.whole };
                group.push(Item::Whole { checksum, info });
            }
        }
        Ok(())
    }
}

fn tell<'d>(
    repo: &Repo,
    names: &OldNames<'_>,
    file: &'d NewFile,
    options: &GenerateOptions<'_>,
    memory: &Memory,
) -> Result<Told<'d>> {
    let info = file_info(repo, &file.checksum)?;
    let source = match info.header.is_regular() {
        true => names.similar(repo, file, info.size)?,
        false => None,
    };
    let way = match source {
        Some(source) => compare(repo, &file.checksum, source, options, memory)?,
        None => Way::Whole,
    };
    Ok(Told { file, info, modified: source.is_some(), way })
}

/// Chooses what sends least. Few new bytes are told by copies; chunks are taken where libostree
/// takes them, and where they are worth it and bsdiff may not be used.
fn compare(
    repo: &Repo,
    new: &Checksum,
    source: Checksum,
    options: &GenerateOptions<'_>,
    memory: &Memory,
) -> Result<Way> {
    let (old_file, new_file) = (repo.load_file(&source)?, repo.load_file(new)?);
    let together = old_file.size.saturating_add(new_file.size);
    if together > COMPARE_LIMIT {
        return Ok(Way::Whole);
    }
    let _held = memory.take(together);
    let (old, new) = (read_whole(&source, old_file)?, read_whole(new, new_file)?);
    let bsdiff = options.bsdiff && together <= options.max_bsdiff_size;
    if bsdiff && let Some(ByteDiff::Copies(copies)) = byte_copies(&old, &new) {
        return Ok(Way::Copies { source, copies });
    }
    let Rollsum { matches: copies, worthwhile, chosen_by_libostree } = matches(&old, &new);
    let copied: u64 = copies.iter().map(|copy| copy.len as u64).sum();
    if bsdiff && new.len() as u64 - copied <= FEW_BYTES {
        return Ok(Way::Copies { source, copies });
    }
    Ok(match (bsdiff, worthwhile, chosen_by_libostree) {
        (_, _, true) | (false, true, _) => Way::Rollsum { source, copies },
        (true, _, false) => Way::Bsdiff { source },
        (false, false, false) => Way::Whole,
    })
}

/// The content of a file object, which must be as long as it says.
pub(super) fn read_whole(checksum: &Checksum, object: crate::FileObject) -> Result<Vec<u8>> {
    let size = object.size;
    // One more, so that the end is seen.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    let read = object.content.take(size + 1).read_to_end(&mut bytes);
    let broken = |why: String| RepoError::Refused(format!("reading file object {checksum}: {why}"));
    read.map_err(|e| broken(e.to_string()))?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false => Err(broken(format!("it is not {size} bytes long"))),
    }
}
