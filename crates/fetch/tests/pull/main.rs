//! Pulls over HTTP from a server that counts, and from one that lies. The repositories are made
//! and checked by the real `ostree`.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

mod asking;
mod cost;
mod deltas;
mod ground;
mod lies;
mod resume;
mod server;
mod summaries;
mod transfer;
