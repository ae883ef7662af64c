//! The merge of `/etc`, with the real `ostree admin deploy` as its judge.
#![expect(clippy::disallowed_methods, reason = "tests make and look at trees directly")]

mod corner;
mod crash;
mod import;
mod index;
mod oracle;
mod random;
mod tree;
