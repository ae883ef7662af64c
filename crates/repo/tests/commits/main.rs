//! The same tree gives the same commit as `ostree commit`, in every mode and with every
//! option; libostree's `fsck` accepts what we wrote.

#![allow(clippy::disallowed_methods, reason = "tests arrange trees by other means than the code")]

mod archive_hostile;
mod archive_random;
mod archive_tools;
mod archives;
mod bench;
mod crash;
mod empty;
mod every_way;
mod export;
mod generated;
mod index;
mod large;
mod links;
mod neighbours;
mod options;
mod random;
mod refused;
mod sample;
mod secret;
mod told;
mod told_random;
mod trees;
mod watched;
