//! Doors for the fuzz targets of `crates/trust` to parsers that nothing else opens: bytes in,
//! and out what the writer makes of what was read. Where a file carries its own checksum the door
//! computes that, since no mutation would.

use trefoil_format::checksum::Checksum;

use crate::boot::{config_files, os_release};
use crate::etc::index_bytes;
use crate::kernel::bootcsum;
use crate::spare::{record, seal};
use crate::staged::state::StagedState;

/// One record of a seal log, without its frame.
pub fn seal_record(bytes: &[u8]) -> Option<Vec<u8>> {
    let decoded = record::decode(bytes);
    let commit = decoded.as_ref().map_or_else(|| Checksum::of(b""), |(commit, _)| *commit);
    let whole = seal::read_record(bytes, &commit);
    assert_eq!(decoded.is_some(), whole.is_ok(), "a record and a log of it differ");
    decoded.map(|(commit, changes)| record::encode(&commit, &changes))
}

/// An index of `/etc`, without the checksum at its end.
pub fn etc_index(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = bytes.to_vec();
    whole.extend_from_slice(Checksum::of(bytes).as_bytes());
    let mut written = index_bytes::encode(&index_bytes::decode(&whole).ok()?);
    written.truncate(written.len() - Checksum::LEN);
    Some(written)
}

/// The state of a staged deployment.
pub fn staged_state(bytes: &[u8]) -> Option<Vec<u8>> {
    StagedState::parse(bytes).ok().map(|state| {
        let _ = state.has_overlay_initrds();
        state.to_bytes()
    })
}

/// The cache of bootcsums, without the checksum in its last line.
pub fn bootcsums(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = bytes.to_vec();
    whole.extend_from_slice(format!("{}\n", Checksum::of(bytes)).as_bytes());
    let mut written = bootcsum::print(&bootcsum::parse(&whole)?).into_bytes();
    written.truncate(written.len() - 2 * Checksum::LEN - 1);
    Some(written)
}

/// The name in an os-release file.
pub fn os_release(text: &str) -> Option<String> {
    os_release::name(text)
}

/// The lines of a `syslinux.cfg` that are not ours.
pub fn syslinux(text: &str) -> Option<Vec<String>> {
    config_files::foreign_lines(text).ok().map(|(lines, _)| lines)
}
