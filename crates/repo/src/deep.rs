use std::io;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use trefoil_fsat::FsError;

use crate::Result;

/// Room for the recursion over the deepest tree that is allowed, many times over: a thread
/// that waits for one subtree works on another meanwhile, on the same stack. Only what is
/// touched takes memory.
const STACK_BYTES: usize = 64 << 20;

/// The one thread of small work; it waits for more where there is none.
static ALONE: OnceLock<ThreadPool> = OnceLock::new();

/// Runs `work`, which recurses over a tree and spreads over all cores, on threads with stacks
/// that are deep enough.
pub(crate) fn on_deep_stacks<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    pool(0)?.install(work)
}

/// The same for work that one thread has done before others are awake, which cost more system
/// calls than it does.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if ALONE.get().is_none() {
        // Whoever comes second drops his.
        let _ = ALONE.set(pool(1)?);
    }
    match ALONE.get() {
        Some(alone) => alone.install(work),
        None => on_deep_stacks(work),
    }
}

/// A pool of so many threads; 0 is one for each core.
fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build();
    Ok(pool.map_err(|e| FsError::new("start worker threads", "", io::Error::other(e)))?)
}
