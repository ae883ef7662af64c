//! Oracles, tree builders and crash runner for the tests of Trefoil.

pub mod os_tree;
pub mod ostree;
