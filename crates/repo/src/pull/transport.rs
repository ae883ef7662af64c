//! What a pull asks of whoever can fetch the files of a remote: `trefoil-fetch` over HTTP, a
//! directory for `file://`, anything in a test.

use std::fmt;
use std::io::Read;
use std::sync::mpsc;

/// Which of a remote's addresses a file is at.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// `url`: refs, the summary and signatures.
    Main,
    /// `contenturl`, where the remote has one: objects and static deltas.
    Content,
}

/// What a server said to recognise a version of a file by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The header `ETag`, as it was.
    pub etag: Option<String>,
    /// The header `Last-Modified`, in seconds since 1970.
    pub last_modified: Option<u64>,
}

/// One file of a remote, to be fetched.
#[derive(Clone, Debug)]
pub struct FileRequest {
    /// Path below the root of the repository, such as `objects/ab/cd.dirtree`.
    pub path: String,
    /// Where.
    pub site: Site,
    /// Most bytes it may have; a longer one is an error.
    pub limit: u64,
    /// The version that is here already; another one is wanted, or none.
    pub known: Option<Validators>,
}

impl FileRequest {
    /// A request for a file whatever version is here.
    pub fn new(site: Site, path: impl Into<String>, limit: u64) -> Self {
        FileRequest { path: path.into(), site, limit, known: None }
    }
}

/// The content of a file.
pub enum Body {
    /// All of it, small enough to be held in memory.
    Whole(Vec<u8>),
    /// To be read while it comes in. An error ends it where the transfer fails.
    Stream(Box<dyn Read + Send>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Body {
    /// All of it. The transport sees to the limit of the request.
    pub fn into_bytes(self) -> std::io::Result<Vec<u8>> {
        match self {
            Body::Whole(bytes) => Ok(bytes),
            Body::Stream(mut stream) => {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Answer {
    /// The file.
    File {
        /// Its content.
        body: Body,
        /// How to recognise this version of it.
        validators: Validators,
    },
    /// The version that is here is the newest.
    NotModified,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("While fetching {url}")]
pub struct FetchError {
    /// The address.
    pub url: String,
    /// Why.
    #[source]
    pub problem: FetchProblem,
}

impl FetchError {
    /// Whether the server says that there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self.problem, FetchProblem::Status(403 | 404 | 410))
    }
}

/// What went wrong with a request.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchProblem {
    /// The server answered with this status of HTTP.
    #[error("Server returned HTTP {0}")]
    Status(u16),
    /// The file has more bytes than it may have.
    #[error("File exceeded maximum size of {limit} bytes")]
    TooLarge {
        /// The most it may have.
        limit: u64,
    },
    /// The transfer ended before the file did.
    #[error("Transferred a partial file: {0}")]
    Incomplete(String),
    /// For too long too little came.
    #[error("{0}")]
    Slow(String),
    /// The server asked for something that is not done, such as going to another scheme.
    #[error("{0}")]
    Refused(String),
    /// The network failed.
    #[error("{0}")]
    Network(String),
}

/// What is called with the outcome of a request, on a thread of the transport.
pub type Done = Box<dyn FnOnce(Result<Answer, FetchError>) + Send>;

/// What was transferred so far.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Requests sent, repeated ones counted each time.
    pub requests: u64,
    /// Bytes of content received.
    pub bytes: u64,
}

/// Fetches files of one remote.
pub trait Transport: Sync {
    /// Starts to fetch a file and returns at once. The caller keeps to [`Transport::parallel`].
    fn start(&self, request: FileRequest, done: Done);

    /// How many requests to have under way at once.
    fn parallel(&self) -> usize;

    /// Ends what is under way: streams that are being read fail.
    fn abandon(&self);

    /// What was transferred so far.
    fn transferred(&self) -> Transferred;
}

/// Fetches one file and waits for it.
pub(crate) fn fetch(transport: &dyn Transport, request: FileRequest) -> Result<Answer, FetchError> {
    let url = request.path.clone();
    let (sender, receiver) = mpsc::channel();
    let done = move |outcome| {
        // Nobody else has the receiver, and we wait.
        let _ = sender.send(outcome);
    };
    transport.start(request, Box::new(done));
    receiver.recv().unwrap_or_else(|_| {
        let problem = FetchProblem::Network("the transport gave no answer".to_string());
        Err(FetchError { url, problem })
    })
}

/// The bytes of a body; the error of a stream that fails is that of its transport, or becomes one
/// about `path`.
pub(crate) fn read_body(path: &str, body: Body) -> Result<Vec<u8>, FetchError> {
    body.into_bytes().map_err(|e| {
        let text = e.to_string();
        let inner = e.into_inner().and_then(|inner| inner.downcast::<FetchError>().ok());
        inner.map_or_else(
            || FetchError { url: path.to_string(), problem: FetchProblem::Incomplete(text) },
            |inner| *inner,
        )
    })
}
