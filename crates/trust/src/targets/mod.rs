//! What is done with bytes that nobody vouches for: one target for each group of formats.
//!
//! A target fails by a panic, by allocating more than [`MEMORY_LIMIT`], or by taking longer than
//! [`TIME_LIMIT`]. Where a format has a writer, what was read is written and read again, and has
//! to be the same. `trust fuzz` drives the targets with libFuzzer; the test `corpus` runs them
//! over what is kept in `corpus/`, every past finding among it.

mod archived;
mod archives;
mod disk;
mod http;
mod model;
mod objects;
mod parts;
mod place;
mod signatures;
mod state;
mod summaries;
mod texts;
mod variants;

use std::fmt::Debug;
use std::time::Duration;

/// Most bytes that a target may have allocated at once: a few hundred times the largest input,
/// which leaves room for the dictionaries of the decompressors alone.
pub const MEMORY_LIMIT: usize = 256 << 20;
/// Longest time one input may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Largest input in bytes that is tried.
pub const INPUT_LIMIT: usize = 16 << 10;

/// What is fuzzed as one.
pub struct Target {
    /// Its name, and that of its directory in `corpus/`.
    pub name: &'static str,
    /// The formats it covers.
    pub formats: &'static str,
    /// Tries one input; panics where something does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    objects::TARGET,
    variants::TARGET,
    summaries::TARGET,
    parts::TARGET,
    archived::TARGET,
    archives::TARGET,
    signatures::TARGET,
    texts::TARGET,
    http::TARGET,
    state::TARGET,
    disk::TARGET,
    model::TARGET,
];

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Whatever is read is written as the very same bytes.
fn exact<T, E>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
    write: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    let value = read(bytes).ok()?;
    assert_eq!(write(&value), bytes, "written otherwise than it was read");
    Some(value)
}

/// Whatever is read, from any form it may have, is written in a form that is read as the same
/// and written alike.
fn stable<T, E: Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
    write: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    let value = read(bytes).ok()?;
    let written = write(&value);
    let again = read(&written).expect("what was written can be read");
    assert_eq!(write(&again), written, "read again it is another");
    Some(value)
}
