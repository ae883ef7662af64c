//! Disk images, with the kernel's own file systems and loop devices: what libostree and fsck say
//! of them after an update, what a killed run leaves, and who is kept out.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

mod dev;
mod hostile;
mod killed;
mod lab;
mod planned;
mod refused;
mod snapshots;
mod updated;
