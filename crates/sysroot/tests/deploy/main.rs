//! Deploys and changes of the list, against the real `ostree` and against interruption.

#[path = "../common/mod.rs"]
mod common;
mod half_done;
mod interrupted;
mod like_libostree;
mod refused;
mod staged;
