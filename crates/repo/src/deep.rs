use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;

use trefoil_fsat::FsError;

use crate::Result;

/// Room for the recursion over the deepest tree that is allowed, many times over: a thread
/// that waits for one subtree works on another meanwhile, on the same stack. Only what is
/// touched takes memory.
const STACK_BYTES: usize = 64 << 20;

/// How much of a tree the calling thread works on by itself: it has done so before others are
/// awake, which cost more system calls than the work. Its stack may be an ordinary one.
pub(crate) const FEW: usize = 256;
/// And how deep that part may be.
pub(crate) const SHALLOW: usize = 32;

/// Threads for each core: while one waits for the disk, which writes past the page cache do,
/// another hashes.
const THREADS: usize = 2;

/// Runs `work`, which recurses over a tree and spreads over all cores, on threads with stacks
/// that are deep enough.
pub(crate) fn on_deep_stacks<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let threads = THREADS * available_parallelism().map_or(1, NonZero::get);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build();
    let pool = pool.map_err(|e| FsError::new("start worker threads", "", io::Error::other(e)))?;
    pool.install(work)
}
