//! Static deltas of repositories, with the real `ostree` on the other side in both directions.
#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

mod apply;
mod cost;
mod crash;
mod ground;
mod hostile;
mod lists;
mod make;
mod patched;
mod signed;
