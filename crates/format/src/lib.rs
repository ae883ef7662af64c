//! Every byte layout of OSTree as pure data: no I/O.
//!
//! Readers accept only what libostree would accept and refuse bytes that are not in normal
//! form, so writing what was read gives back the same bytes. Nothing here panics on bytes or
//! text from outside, and memory stays proportional to the input.

pub mod checksum;
pub mod commit;
pub mod cpio;
pub mod dirmeta;
pub mod dirtree;
pub mod error;
pub mod file;
pub mod gvariant;
pub mod kargs;
pub mod keyfile;
pub mod loader_entry;
pub mod mode;
pub mod name;
pub mod object;
pub mod sizes;
pub mod tar;
pub mod xattrs;
