//! The content of an answer, read piece by piece as the connection takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;
use trefoil_fsat::File;

use crate::access::Ticket;

/// How much is read at once. Together with what the connection holds back of an answer this is
/// what an answer costs in memory.
pub(crate) const CHUNK: usize = 32 * 1024;

/// Gives content in pieces.
pub(crate) trait Source: Send {
    /// The next piece; may block. Not asked again after an error or when all is done.
    fn next(&mut self) -> io::Result<Bytes>;

    /// Whether that was the last piece.
    fn is_done(&self) -> bool;
}

/// A part of a file. One that is cut short meanwhile is an error, never a short answer.
pub(crate) struct FilePart {
    pub file: File,
    pub offset: u64,
    pub end: u64,
}

impl Source for FilePart {
    fn next(&mut self) -> io::Result<Bytes> {
        let want = usize::try_from(self.end - self.offset).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; want];
        let n = self.file.read_at(&mut chunk, self.offset).map_err(io::Error::other)?;
        if n == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(n);
        self.offset += n as u64;
        Ok(Bytes::from(chunk))
    }

    fn is_done(&self) -> bool {
        self.offset == self.end
    }
}

/// `None` for the source where it is done.
type Step = io::Result<(Bytes, Option<Box<dyn Source>>)>;

/// Reads a piece; what is done is dropped at once.
pub(crate) fn step(mut source: Box<dyn Source>) -> Step {
    let piece = source.next()?;
    let rest = (!source.is_done()).then_some(source);
    Ok((piece, rest))
}

enum Rest {
    Done,
    /// One piece ahead of what the connection took.
    Reading(JoinHandle<Step>),
}

impl Rest {
    fn of(source: Option<Box<dyn Source>>) -> Rest {
        let read = |source| Rest::Reading(tokio::task::spawn_blocking(move || step(source)));
        source.map_or(Rest::Done, read)
    }
}

/// A body: what is in memory already, then what a source still has.
pub(crate) struct Answer {
    ready: Option<Bytes>,
    rest: Rest,
    ticket: Ticket,
}

impl Answer {
    pub fn new(ready: Bytes, rest: Option<Box<dyn Source>>, ticket: Ticket) -> Answer {
        let ready = Some(ready).filter(|bytes| !bytes.is_empty());
        Answer { ready, rest: Rest::of(rest), ticket }
    }

    fn piece(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.ticket.access.bytes += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn broken(&mut self, error: io::Error) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.ticket.access.problem = Some(error.to_string());
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if let Some(bytes) = this.ready.take() {
            return this.piece(bytes);
        }
        let Rest::Reading(task) = &mut this.rest else { return Poll::Ready(None) };
        let read = ready!(Pin::new(task).poll(cx));
        this.rest = Rest::Done;
        match read.map_err(io::Error::other).flatten() {
            Ok((bytes, source)) => {
                this.rest = Rest::of(source);
                this.piece(bytes)
            }
            Err(error) => this.broken(error),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_none() && matches!(self.rest, Rest::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Done => SizeHint::with_exact(self.ready.as_ref().map_or(0, |b| b.len() as u64)),
            _ => SizeHint::default(),
        }
    }
}
