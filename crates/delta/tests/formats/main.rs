//! Superblocks, parts and differences as pure data: what is written is read back, and bytes
//! from outside are refused without a panic and within bounded memory.

mod differences;
mod hostile;
mod roundtrip;
mod sample;
mod trees;
