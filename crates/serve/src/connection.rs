//! Watches one connection: what goes out, and whether anything goes on at all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An answer that moves fewer bytes than this within the patience is stuck.
const LEAST_PROGRESS: u64 = 4096;
/// In how many steps the patience is counted.
const STEPS: u32 = 4;

/// What a connection is doing.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    answering: AtomicUsize,
    waiting: AtomicUsize,
    finished: AtomicU64,
    written: AtomicU64,
}

impl Activity {
    /// Ends when the connection is of no use any more. With no request under way, that is after
    /// `patience` without a whole new one, however many bytes dribble in; with an answer under
    /// way, when the client takes next to nothing of it for that long. Followers wait in peace.
    pub async fn given_up(&self, patience: Duration) {
        let (mut idle, mut stuck) = (0, 0);
        let mut last = self.snapshot();
        while idle < STEPS && stuck < STEPS {
            tokio::time::sleep(patience / STEPS).await;
            let now = self.snapshot();
            let same = now.finished == last.finished;
            let quiet = now.answering == 0 && now.waiting == 0 && same;
            idle = if quiet { idle + 1 } else { 0 };
            let moved = now.written - last.written >= LEAST_PROGRESS / u64::from(STEPS);
            let slow = now.answering > 0 && last.answering > 0 && same && !moved;
            stuck = if slow { stuck + 1 } else { 0 };
            last = now;
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            answering: self.answering.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            finished: self.finished.load(Relaxed),
            written: self.written.load(Relaxed),
        }
    }
}

struct Snapshot {
    answering: usize,
    waiting: usize,
    finished: u64,
    written: u64,
}

/// Counts a request as under way while it lives.
pub(crate) struct Busy {
    activity: Arc<Activity>,
    waits: bool,
}

impl Busy {
    pub fn answering(activity: Arc<Activity>) -> Busy {
        activity.answering.fetch_add(1, Relaxed);
        Busy { activity, waits: false }
    }

    pub fn waiting(activity: Arc<Activity>) -> Busy {
        activity.waiting.fetch_add(1, Relaxed);
        Busy { activity, waits: true }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.finished.fetch_add(1, Relaxed);
        let counter = if self.waits { &self.activity.waiting } else { &self.activity.answering };
        counter.fetch_sub(1, Relaxed);
    }
}

/// A stream that counts what is written to it.
pub(crate) struct Counted {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Counted {
    pub fn new(stream: TcpStream, activity: Arc<Activity>) -> Counted {
        Counted { stream, activity }
    }

    fn count(&self, n: usize) -> Poll<io::Result<usize>> {
        self.activity.written.fetch_add(n as u64, Relaxed);
        Poll::Ready(Ok(n))
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.count(n)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.count(n)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
