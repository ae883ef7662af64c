//! Binary formats of this crate, judged by the real `ostree` and by GLib itself.
#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

mod glib;
mod mutations;
mod names;
mod ostree;
mod refusals;
mod roundtrip;
mod tools;
mod values;
