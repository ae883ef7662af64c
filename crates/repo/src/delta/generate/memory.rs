use std::sync::{Condvar, Mutex};

/// How much the contents and tables of all threads may take together, in bytes.
const MOST: u64 = 1 << 30;

/// An account of memory that threads take from, so that many large files are not compared at
/// the same time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// Memory that was taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Held<'m> {
    memory: &'m Memory,
    bytes: u64,
}

impl Memory {
    /// Waits until there is so much. What is more than there ever is waits for all of it.
    ///
    /// Who holds some must not wait for other threads, which may all be waiting here.
    pub fn take(&self, bytes: u64) -> Held<'_> {
        let bytes = bytes.min(MOST);
        let mut taken = self.taken.lock().expect("no holder panics");
        while *taken + bytes > MOST {
            taken = self.given_back.wait(taken).expect("no holder panics");
        }
        *taken += bytes;
        Held { memory: self, bytes }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.memory.taken.lock().expect("no holder panics") -= self.bytes;
        self.memory.given_back.notify_all();
    }
}
