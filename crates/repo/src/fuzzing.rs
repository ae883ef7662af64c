//! Doors for the fuzz targets of `crates/trust` to parsers that nothing else opens.

use std::io::{self, Read};

use trefoil_format::checksum::Checksum;

use crate::archive::Archive;
use crate::transaction::ArchivedFile;
use crate::{Result, Transaction};

/// Reads an archive to its end, content and all; gives the entries and the bytes of content.
pub fn read_archive(mut bytes: &[u8], max_hole_bytes: u64) -> Result<(u64, u64)> {
    let mut archive = Archive::open(&mut bytes, max_hole_bytes)?;
    let (mut entries, mut content) = (0, 0);
    while let Some(entry) = archive.next_entry()? {
        // Not to the end: what is left has to be passed over.
        let some = (&mut archive).take(entry.size.min(1 << 20));
        content += io::copy(&mut { some }, &mut io::sink()).unwrap_or(0);
        entries += 1;
    }
    Ok((entries, content))
}

/// Stores a file object that comes from a remote in the form of an archive.
pub fn receive(txn: &Transaction<'_>, checksum: Checksum, mut bytes: &[u8]) -> Result<()> {
    txn.write_archived(ArchivedFile { checksum, bytes: &mut bytes }, |_| Ok(()))
}

/// How many files and directories the body of a commit index has, as far as it can be read.
pub fn read_index(bytes: &[u8]) -> (usize, usize) {
    crate::commit::index::count(bytes)
}

/// How many of the paths told to a commit it would look at; `None` where one is refused.
pub fn read_told(paths: &[&str]) -> Option<u64> {
    crate::commit::told::count(paths)
}
