//! Prune, fsck, pull-local and remotes beside the real `ostree`, which is the oracle.

#![allow(
    clippy::disallowed_methods,
    reason = "tests arrange and break repositories by other means than the code"
)]

mod concurrent;
mod finder;
mod fsck;
mod leftovers;
mod prune;
mod pull;
mod remotes;
mod support;
