//! What `demo` and `bench` share: a scratch directory, sysroots in it, edits of trees, the real
//! `ostree` beside them, and tables.

pub mod compare;
pub mod edit;
pub mod machine;
pub mod peer;
pub mod scan;
pub mod scratch;
pub mod source;
pub mod table;
