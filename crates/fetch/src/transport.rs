use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use trefoil_repo::pull::transport::{
    Answer, Body, Done, FetchError, FetchProblem, FileRequest, Site, Transferred, Transport,
    Validators,
};

use crate::body::StreamBody;
use crate::client::Clients;
use crate::exchange::{Exchange, Opened};
use crate::metalink::Metalink;
use crate::mirrors::{below, parse_base, parse_list, shown};
use crate::{FetchSettings, RemoteAddress};

/// Files up to this size are handed over whole.
const IN_MEMORY: usize = 1 << 20;
/// Pieces of a stream that wait for its reader.
const PIECES: usize = 4;
/// Requests at once to a server that speaks HTTP/1.1, as libostree has it.
const PARALLEL: usize = 8;
/// And to one that speaks HTTP/2, where they share a connection.
const PARALLEL_HTTP2: usize = 64;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Largest list of mirrors, metalink or `config` of a mirror.
const LIST_LIMIT: u64 = 4 << 20;
/// Largest summary that a metalink leads to, whatever it says.
const SUMMARY_LIMIT: u64 = 128 << 20;

type Fetched<T> = Result<T, FetchError>;

/// Fetches the files of one remote over HTTP.
pub struct HttpTransport {
    shared: Arc<Shared>,
    sites: Arc<Sites>,
    summary: Option<Vec<u8>>,
    handle: Handle,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<JoinHandle<()>>,
}

/// The addresses that files of the remote lie below, best first.
#[derive(Default)]
struct Sites {
    main: Vec<Url>,
    content: Vec<Url>,
}

/// What all requests of a transport have in common.
pub(crate) struct Shared {
    pub settings: FetchSettings,
    pub clients: Clients,
    permits: Semaphore,
    requests: AtomicU64,
    bytes: AtomicU64,
    http2: AtomicBool,
}

impl Shared {
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub fn note_version(&self, http2: bool) {
        self.http2.store(http2, Relaxed);
    }
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let main: Vec<String> = self.sites.main.iter().map(shown).collect();
        f.debug_struct("HttpTransport").field("main", &main).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport to the remote at `main`, whose objects are at `content` where that is given.
    /// Lists of mirrors and metalinks are fetched now.
    ///
    /// # Errors
    /// An address that is none of HTTP; a list without a mirror that works; a metalink whose
    /// summary nobody has.
    pub fn open(
        settings: FetchSettings,
        main: &RemoteAddress,
        content: Option<&RemoteAddress>,
    ) -> Fetched<HttpTransport> {
        let permits = settings.max_outstanding.unwrap_or(PARALLEL_HTTP2).max(1);
        let shared = Arc::new(Shared {
            clients: Clients::new(settings.clone()),
            settings,
            permits: Semaphore::new(permits),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            http2: AtomicBool::new(false),
        });
        let (handle, stop, thread) = start_runtime()?;
        let mut transport = HttpTransport {
            shared,
            sites: Arc::default(),
            summary: None,
            handle,
            stop: Mutex::new(Some(stop)),
            thread: Some(thread),
        };
        let main = transport.resolve(main)?;
        let content = match content {
            Some(content) => transport.resolve(content)?,
            None => main.clone(),
        };
        transport.sites = Arc::new(Sites { main, content });
        Ok(transport)
    }

    /// The summary, where a metalink led to it.
    pub fn take_summary(&mut self) -> Option<Vec<u8>> {
        self.summary.take()
    }

    fn resolve(&mut self, address: &RemoteAddress) -> Fetched<Vec<Url>> {
        match address {
            RemoteAddress::Url(url) => Ok(vec![parse_base(url)?]),
            RemoteAddress::MirrorList(list) => self.mirrors(list),
            RemoteAddress::Metalink(url) => {
                let (base, summary) = self.metalink(url)?;
                self.summary = Some(summary);
                Ok(vec![base])
            }
        }
    }

    /// The mirrors of a list, from the first on that has a repository.
    fn mirrors(&self, list: &str) -> Fetched<Vec<Url>> {
        let text = self.get(&parse_base(list)?, LIST_LIMIT)?;
        let mut mirrors = parse_list(&String::from_utf8_lossy(&text));
        let works = |url: &Url| self.get(&below(url, "config"), LIST_LIMIT).is_ok();
        match mirrors.iter().position(works) {
            Some(first) => Ok(mirrors.split_off(first)),
            None => Err(FetchError {
                url: list.to_string(),
                problem: FetchProblem::Refused(format!(
                    "No valid mirrors were found in mirrorlist '{list}'"
                )),
            }),
        }
    }

    fn metalink(&self, url: &str) -> Fetched<(Url, Vec<u8>)> {
        let refused =
            |what| FetchError { url: url.to_string(), problem: FetchProblem::Refused(what) };
        let text = self.get(&parse_base(url)?, LIST_LIMIT)?;
        let metalink = Metalink::parse(&String::from_utf8_lossy(&text)).map_err(refused)?;
        let mut last = String::new();
        for target in &metalink.urls {
            // A little more may come, so that the error can say by how much.
            let limit = metalink.size.clamp(LIST_LIMIT, SUMMARY_LIMIT);
            let got = self.get(target, limit).map_err(|e| e.problem.to_string());
            match got.and_then(|bytes| metalink.verify(&bytes).map(|()| bytes)) {
                Ok(bytes) => {
                    // The directory of the summary is the repository.
                    let mut base = target.clone();
                    if let Ok(mut segments) = base.path_segments_mut() {
                        segments.pop();
                    }
                    return Ok((base, bytes));
                }
                Err(problem) => last = problem,
            }
        }
        let count = metalink.urls.len();
        Err(refused(format!("Exhausted {count} metalink targets, last error: {last}")))
    }

    /// Fetches one small file and waits for it.
    fn get(&self, url: &Url, limit: u64) -> Fetched<Vec<u8>> {
        let (sender, receiver) = mpsc::channel();
        let (shared, urls) = (Arc::clone(&self.shared), vec![url.clone()]);
        self.handle.spawn(async move {
            let done = Box::new(move |answer| {
                // We wait for it.
                let _ = sender.send(answer);
            });
            run(&shared, &urls, limit, None, done).await;
        });
        let lost = || FetchError {
            url: shown(url),
            problem: FetchProblem::Network("the transport ended".to_string()),
        };
        match receiver.recv().map_err(|_| lost())?? {
            Answer::File { body, .. } => body.into_bytes().map_err(|e| FetchError {
                url: shown(url),
                problem: FetchProblem::Incomplete(e.to_string()),
            }),
            Answer::NotModified => Err(lost()),
        }
    }
}

fn start_runtime() -> Fetched<(Handle, oneshot::Sender<()>, JoinHandle<()>)> {
    let failed = |e: std::io::Error| FetchError {
        url: "the network".to_string(),
        problem: FetchProblem::Network(format!("starting its thread: {e}")),
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("fetch".to_string()).spawn(move || {
        // Either it is asked to stop, or the transport is gone.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_background();
    });
    Ok((handle, stop, thread.map_err(failed)?))
}

impl Transport for HttpTransport {
    fn start(&self, request: FileRequest, done: Done) {
        let (shared, sites) = (Arc::clone(&self.shared), Arc::clone(&self.sites));
        self.handle.spawn(async move {
            let bases = match request.site {
                Site::Main => &sites.main,
                Site::Content => &sites.content,
            };
            let urls: Vec<Url> = bases.iter().map(|base| below(base, &request.path)).collect();
            run(&shared, &urls, request.limit, request.known, done).await;
        });
    }

    fn parallel(&self) -> usize {
        let usual = match self.shared.http2.load(Relaxed) {
            true => PARALLEL_HTTP2,
            false => PARALLEL,
        };
        self.shared.settings.max_outstanding.unwrap_or(usual).max(1)
    }

    fn abandon(&self) {
        let stop = self.stop.lock().unwrap_or_else(|e| e.into_inner()).take();
        // Without a receiver it has stopped.
        let _ = stop.map(|stop| stop.send(()));
    }

    fn transferred(&self) -> Transferred {
        Transferred {
            requests: self.shared.requests.load(Relaxed),
            bytes: self.shared.bytes.load(Relaxed),
        }
    }
}

impl Drop for HttpTransport {
    fn drop(&mut self) {
        self.abandon();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, which is all that is wanted.
            let _ = thread.join();
        }
    }
}

/// Fetches a file from the first of `urls` that has it, and hands it over.
async fn run(
    shared: &Arc<Shared>,
    urls: &[Url],
    limit: u64,
    known: Option<Validators>,
    done: Done,
) {
    let Ok(_permit) = shared.permits.acquire().await else { return };
    match head(shared, urls, limit, known.as_ref()).await {
        Err(e) => done(Err(e)),
        Ok(Head::NotModified) => done(Ok(Answer::NotModified)),
        Ok(Head::Whole(bytes, validators)) => {
            done(Ok(Answer::File { body: Body::Whole(bytes), validators }));
        }
        Ok(Head::Begun(bytes, mut exchange, url)) => {
            let (sender, pieces) = tokio::sync::mpsc::channel(PIECES);
            let body = Body::Stream(Box::new(StreamBody::new(Bytes::from(bytes), pieces)));
            done(Ok(Answer::File { body, validators: exchange.validators.clone() }));
            loop {
                let piece = match exchange.next().await {
                    // An empty piece says that this is the end; none else is sent.
                    Ok(None) => Ok(Bytes::new()),
                    Ok(Some(piece)) if piece.is_empty() => continue,
                    Ok(Some(piece)) => Ok(piece),
                    Err(problem) => Err(FetchError { url: url.clone(), problem }),
                };
                let ends = piece.as_ref().map_or(true, Bytes::is_empty);
                if sender.send(piece).await.is_err() || ends {
                    return;
                }
            }
        }
    }
}

/// The beginning of a file.
enum Head<'a> {
    NotModified,
    Whole(Vec<u8>, Validators),
    Begun(Vec<u8>, Box<Exchange<'a>>, String),
}

/// Repeats what failed for a reason that may pass, after longer and longer waits.
async fn head<'a>(
    shared: &'a Shared,
    urls: &[Url],
    limit: u64,
    known: Option<&Validators>,
) -> Fetched<Head<'a>> {
    let mut wait = FIRST_WAIT;
    let mut left = shared.settings.retries;
    loop {
        let mut problem = None;
        for url in urls {
            match try_one(shared, url, limit, known).await {
                Ok(head) => return Ok(head),
                Err(e) => problem = Some(FetchError { url: shown(url), problem: e }),
            }
        }
        let Some(error) = problem else {
            let problem = FetchProblem::Refused("the remote has no address".to_string());
            return Err(FetchError { url: String::new(), problem });
        };
        if left == 0 || !may_pass(&error.problem) {
            return Err(error);
        }
        left -= 1;
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn may_pass(problem: &FetchProblem) -> bool {
    match problem {
        FetchProblem::Status(status) => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
        FetchProblem::Incomplete(_) | FetchProblem::Slow(_) | FetchProblem::Network(_) => true,
        _ => false,
    }
}

async fn try_one<'a>(
    shared: &'a Shared,
    url: &Url,
    limit: u64,
    known: Option<&Validators>,
) -> Result<Head<'a>, FetchProblem> {
    let mut exchange = match Exchange::open(shared, url, limit, known).await? {
        Opened::NotModified => return Ok(Head::NotModified),
        Opened::Body(exchange) => exchange,
    };
    let mut bytes = Vec::new();
    while let Some(piece) = exchange.next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > IN_MEMORY {
            return Ok(Head::Begun(bytes, exchange, shown(url)));
        }
    }
    Ok(Head::Whole(bytes, exchange.validators))
}
