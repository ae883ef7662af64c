//! The program against servers and proxies on this machine: one test binary.
#![expect(clippy::disallowed_methods, reason = "tests lay out files by themselves")]

mod certs;
mod following;
mod ground;
mod killed;
mod proxies;
mod proxy;
mod rollback;
mod secrets;
mod tls;
mod web;
