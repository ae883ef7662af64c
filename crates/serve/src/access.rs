use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Method, Uri, Version};
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::Busy;

/// What came of one request: told when its answer was sent or given up.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who asked.
    pub peer: SocketAddr,
    /// `GET`, `HEAD`, or what was refused.
    pub method: String,
    /// Path and query as they were sent: no control characters, but anything else.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of content handed to the connection.
    pub bytes: u64,
    /// From the request to the end of the answer.
    pub elapsed: Duration,
    /// Why the answer broke off or there was none, where that is our fault.
    pub problem: Option<String>,
}

/// Who is told of each request.
pub(crate) type Log = Arc<dyn Fn(&Access) + Send + Sync>;

/// Goes with a request to its end: holds what it occupies, and reports when it is dropped.
pub(crate) struct Ticket {
    log: Log,
    started: Instant,
    pub access: Access,
    /// Released, in this order, when the answer is done.
    pub permits: Vec<OwnedSemaphorePermit>,
    _busy: Busy,
}

impl Ticket {
    pub fn new(
        log: Log,
        peer: SocketAddr,
        method: &Method,
        uri: &Uri,
        version: Version,
        busy: Busy,
    ) -> Ticket {
        let access = Access {
            peer,
            method: method.to_string(),
            target: uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string),
            version: format!("{version:?}"),
            status: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
            problem: None,
        };
        Ticket { log, started: Instant::now(), access, permits: Vec::new(), _busy: busy }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.access.elapsed = self.started.elapsed();
        (self.log)(&self.access);
    }
}
