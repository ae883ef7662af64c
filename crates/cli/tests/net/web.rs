//! A web server that speaks HTTP/1.1 and HTTP/2, over TLS or not, and keeps account of what it
//! was asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Seen {
    pub http2: bool,
    /// Without the slash at its beginning.
    pub path: String,
    /// By lower case name.
    pub headers: BTreeMap<String, String>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn is_object(&self) -> bool {
        self.path.contains("objects/")
    }
}

/// What to answer.
pub enum Reply {
    /// The file of that name below the root.
    File,
    Status(u16),
    Redirect(String),
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

struct Shared {
    root: PathBuf,
    answer: Mutex<Arc<Answer>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicU64,
}

/// The server, for as long as the value lives.
pub struct Web {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    // Dropped with it, which ends the server.
    _runtime: Runtime,
}

impl Web {
    /// Serves the directory `root` on a port of its own.
    pub fn start(root: &Path) -> Web {
        Web::start_with(root, None)
    }

    pub fn start_tls(root: &Path, config: ServerConfig) -> Web {
        Web::start_with(root, Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn start_with(root: &Path, tls: Option<TlsAcceptor>) -> Web {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let honest: Arc<Answer> = Arc::new(|_: &Seen| Reply::File);
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            answer: Mutex::new(honest),
            seen: Mutex::default(),
            connections: AtomicU64::new(0),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        runtime.spawn(accept(listener, tls, Arc::clone(&shared)));
        Web { address, scheme, shared, _runtime: runtime }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Answers from now on as `answer` says.
    pub fn answer(&self, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.shared.answer.lock().expect("no holder panics") = Arc::new(answer);
    }

    /// The requests since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().expect("no holder panics"))
    }

    /// Connections that were made since the last call, whatever became of them.
    pub fn take_connections(&self) -> u64 {
        self.shared.connections.swap(0, Relaxed)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        shared.connections.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            // A client that goes away, or does not like our certificate, is what is tested.
            let _ = stream.set_nodelay(true);
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = shared.respond(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let headers = request.headers().iter();
        let seen = Seen {
            http2: request.version() == Version::HTTP_2,
            path: request.uri().path().trim_start_matches('/').to_string(),
            headers: headers
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
        };
        self.seen.lock().expect("no holder panics").push(seen.clone());
        let answer = Arc::clone(&self.answer.lock().expect("no holder panics"));
        let build = |status, name: &str, value: &str, body: Vec<u8>| {
            let builder = Response::builder().status(status);
            let builder = if name.is_empty() { builder } else { builder.header(name, value) };
            builder.body(Full::new(Bytes::from(body))).expect("a response")
        };
        match answer(&seen) {
            Reply::Status(status) => build(status, "", "", b"no".to_vec()),
            Reply::Redirect(to) => build(302, "location", &to, Vec::new()),
            Reply::File => match std::fs::read(self.root.join(&seen.path)) {
                Ok(bytes) => build(200, "", "", bytes),
                Err(_) => build(404, "", "", b"no".to_vec()),
            },
        }
    }
}

/// A port where nobody listens.
pub fn dead_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
