//! The program from outside: one test binary.
#![expect(clippy::disallowed_methods, reason = "tests lay out files by themselves")]

mod admin;
mod admin_dry;
mod as_ostree;
mod bad_sources;
mod bad_sysroots;
mod boot_loaders;
mod booted;
mod commit_told;
mod demo;
mod dev;
mod dev_ssh;
mod dry_runs;
mod interleave;
mod own_words;
mod serve;
mod signatures;
mod site;
mod sizes;
mod staged;
mod static_delta;
mod support;
mod tar;
mod unlocked;
mod usb;
mod watch;
