//! The server from outside: one test binary.
#![expect(clippy::disallowed_methods, reason = "tests lay out files by themselves")]

mod content;
mod follow;
mod limits;
mod paths;
mod pull;
mod reports;
mod support;
