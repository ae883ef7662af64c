use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trefoil_fsat::{Dir, FsError};

use super::transport::{
    Answer, Body, Done, FetchError, FetchProblem, FileRequest, Transferred, Transport, Validators,
};

/// Files up to this size are handed over whole.
const IN_MEMORY: u64 = 1 << 20;

/// Treats the directory of a repository on this machine like a web server. Only for what a
/// direct copy cannot do: static deltas from a `file://` remote.
#[derive(Debug)]
pub struct DirTransport {
    dir: Dir,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl DirTransport {
    /// The files below `dir`.
    pub fn new(dir: Dir) -> Self {
        DirTransport { dir, requests: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn answer(&self, request: &FileRequest) -> Result<Answer, FetchProblem> {
        let failed = |e: FsError| match e.is_not_found() {
            true => FetchProblem::Status(404),
            false => FetchProblem::Refused(e.to_string()),
        };
        self.requests.fetch_add(1, Relaxed);
        let file = self.dir.open_file(&request.path).map_err(failed)?;
        let size = file.stat().map_err(failed)?.size;
        if size > request.limit {
            return Err(FetchProblem::TooLarge { limit: request.limit });
        }
        self.bytes.fetch_add(size, Relaxed);
        let body = match size <= IN_MEMORY {
            true => Body::Whole(file.read_all(IN_MEMORY).map_err(failed)?),
            false => Body::Stream(Box::new(std::io::Read::take(file, request.limit))),
        };
        Ok(Answer::File { body, validators: Validators::default() })
    }
}

impl Transport for DirTransport {
    fn start(&self, request: FileRequest, done: Done) {
        let url = self.dir.path().join(&request.path).display().to_string();
        done(self.answer(&request).map_err(|problem| FetchError { url, problem }));
    }

    fn parallel(&self) -> usize {
        8
    }

    fn abandon(&self) {}

    fn transferred(&self) -> Transferred {
        Transferred { requests: self.requests.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}
