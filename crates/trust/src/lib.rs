//! What the rigs of `trust` share with the engine that fuzzes.

pub mod targets;
