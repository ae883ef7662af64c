//! Dirmeta objects: owner, mode and extended attributes of a directory.
//!
//! `(uuua(ayay))`: uid, gid and mode big-endian, then the attributes. The same layout, with the
//! mode of a file, is the attribute `user.ostreemeta` in bare-user repositories; see
//! [`crate::file::BareUserMeta`].

use crate::checksum::Checksum;
use crate::error::Result;
use crate::gvariant::frame::{Fault, Members, Span};
use crate::mode::{self, S_IFDIR};
use crate::xattrs::Xattrs;

const WHAT: &str = "dirmeta";

/// An owned dirmeta.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirMeta {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permissions and `S_IFDIR`.
    pub mode: u32,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl DirMeta {
    /// Reads an object. Modes that are not of a directory and attributes out of order are
    /// refused, as in libostree.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let (Owner { uid, gid, mode }, xattrs) = read_owner(data, WHAT)?;
        mode::check(mode, &[S_IFDIR], WHAT)?;
        Ok(DirMeta { uid, gid, mode, xattrs: Xattrs::parse_span(xattrs, WHAT)? })
    }

    /// Serialises the object.
    pub fn to_bytes(&self) -> Vec<u8> {
        debug_assert!(mode::check(self.mode, &[S_IFDIR], WHAT).is_ok(), "mode of a directory");
        write_owner(&Owner { uid: self.uid, gid: self.gid, mode: self.mode }, &self.xattrs)
    }

    /// Returns the checksum of the object.
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.to_bytes())
    }
}

/// The numbers every kind of metadata starts with.
pub(crate) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

/// Reads `(uuua(ayay))` and leaves the attributes to the caller.
pub(crate) fn read_owner<'a>(data: &'a [u8], what: &'static str) -> Result<(Owner, Span<'a>)> {
    let read = || {
        let mut members = Members::new(Span::new(data), 0)?;
        let owner = owner(&mut members)?;
        Ok((owner, members.last(1)?))
    };
    read().map_err(|fault: Fault| fault.of(what))
}

/// Writes `(uuua(ayay))`; the only member of variable size is the last, so no offset follows.
pub(crate) fn write_owner(owner: &Owner, xattrs: &Xattrs) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(12);
    push_owner(&mut buffer, owner);
    xattrs.write(&mut buffer);
    buffer
}

/// Reads uid, gid and mode.
pub(crate) fn owner(members: &mut Members<'_>) -> std::result::Result<Owner, Fault> {
    Ok(Owner { uid: be_u32(members)?, gid: be_u32(members)?, mode: be_u32(members)? })
}

/// Appends uid, gid and mode.
pub(crate) fn push_owner(buffer: &mut Vec<u8>, owner: &Owner) {
    for number in [owner.uid, owner.gid, owner.mode] {
        buffer.extend_from_slice(&number.to_be_bytes());
    }
}

/// Reads a big-endian `u`.
pub(crate) fn be_u32(members: &mut Members<'_>) -> std::result::Result<u32, Fault> {
    let span = members.fixed(4, 4)?;
    span.data.try_into().map(u32::from_be_bytes).map_err(|_| span.fault(0, "four bytes"))
}
