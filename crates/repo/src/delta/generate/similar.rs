//! Which old file a new one is made of.

use std::collections::HashMap;

use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;

use super::find::NewFile;
use crate::{Repo, Result};

/// A file with another name or place has to be as large as the new one, give or take so many
/// parts in a hundred.
const SIZE_PERCENT: u64 = 30;
/// At the same path it may be this many times larger or smaller.
const SAME_PATH_FACTOR: u64 = 4;
/// How many files with a fitting name are looked at.
const MOST_LOOKS: usize = 32;
/// Names of files that are compressed: their content differs everywhere. `gz` is not among
/// them because of `--rsyncable`.
const COMPRESSED: [&str; 2] = ["xz", "bz2"];
const READABLE_BY_ALL: u32 = 0o004;

/// What is known of a file object without its content.
#[derive(Clone, Debug)]
pub(super) struct FileInfo {
    pub header: FileHeader,
    pub size: u64,
}

pub(super) fn file_info(repo: &Repo, checksum: &Checksum) -> Result<FileInfo> {
    let object = repo.load_file(checksum)?;
    Ok(FileInfo { header: object.header, size: object.size })
}

/// The old files by their names.
#[derive(Debug, Default)]
pub(super) struct OldNames<'a> {
    exact: HashMap<&'a str, Vec<(&'a str, Checksum)>>,
    stem: HashMap<&'a str, Vec<(&'a str, Checksum)>>,
}

impl<'a> OldNames<'a> {
    pub fn new(old_files: &'a [(String, Checksum)]) -> Self {
        let mut names = OldNames::default();
        for (name, checksum) in old_files {
            names.exact.entry(name).or_default().push((name, *checksum));
            if let Some(stem) = stem(name) {
                names.stem.entry(stem).or_default().push((name, *checksum));
            }
        }
        names
    }

    /// A file of the old commit that `new` is likely to differ little from.
    ///
    /// That at the same path, else one with the same name, else one whose name is the same up
    /// to the first dot. It has to be readable by all: who applies the delta may not be root.
    pub fn similar(&self, repo: &Repo, new: &NewFile, size: u64) -> Result<Option<Checksum>> {
        if size == 0 || new.names.iter().any(|name| is_compressed(name)) {
            return Ok(None);
        }
        if let Some(old) = new.same_path
            && fits(repo, &old, size / SAME_PATH_FACTOR, size.saturating_mul(SAME_PATH_FACTOR))?
        {
            return Ok(Some(old));
        }
        let slack = size * SIZE_PERCENT / 100;
        let names = || new.names.iter();
        let exact = names().filter_map(|name| self.exact.get(name.as_str()));
        let alike = names().filter_map(|name| self.stem.get(stem(name)?));
        for (name, old) in exact.chain(alike).flatten().take(MOST_LOOKS) {
            if !is_compressed(name) && fits(repo, old, size - slack, size + slack)? {
                return Ok(Some(*old));
            }
        }
        Ok(None)
    }
}

fn fits(repo: &Repo, old: &Checksum, least: u64, most: u64) -> Result<bool> {
    // Objects of a commit that is not complete may be missing.
    let Some(object) = repo.load_file_opt(old)? else { return Ok(false) };
    let readable = object.header.is_regular() && object.header.mode & READABLE_BY_ALL != 0;
    Ok(readable && object.size > 0 && (least..=most).contains(&object.size))
}

fn stem(name: &str) -> Option<&str> {
    name.split_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty())
}

fn is_compressed(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| COMPRESSED.contains(&extension))
}
