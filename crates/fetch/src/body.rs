use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc::Receiver;
use trefoil_repo::pull::transport::FetchError;

/// Reads what comes in over a channel, which holds a few pieces at most.
pub(crate) struct StreamBody {
    pieces: Receiver<Result<Bytes, FetchError>>,
    piece: Bytes,
    ended: bool,
}

impl StreamBody {
    pub fn new(first: Bytes, pieces: Receiver<Result<Bytes, FetchError>>) -> Self {
        StreamBody { pieces, piece: first, ended: false }
    }
}

impl Read for StreamBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) if piece.is_empty() => self.ended = true,
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(e)) => return Err(io::Error::other(e)),
                // The end is told by an empty piece: this is not it.
                None => return Err(io::Error::other("the transfer was given up")),
            }
        }
        let n = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
