use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use trefoil_repo::Repo;

use crate::access::{Access, Log};
use crate::connection::{Activity, Counted};
use crate::follow::Followers;
use crate::report::{Hearer, Report};
use crate::respond::{Shared, answer};
use crate::{Result, ServeError};

/// Longest head of a request, in bytes: far beyond what a client of ours sends.
const HEAD_LIMIT: usize = 16 * 1024;
/// Requests at a time on one HTTP/2 connection. Clients send up to 100 before they have heard of
/// any limit, and would see the rest refused.
const STREAMS: u32 = 128;
/// What a connection holds back of an HTTP/2 answer that the client does not take.
const SEND_BUFFER: usize = 32 * 1024;
/// Threads that answer, and threads that wait for the disk.
const THREADS: (usize, usize) = (2, 32);
/// The level for packing where the repository sets none: a LAN takes more than a core packs.
/// Level 1 of our packer makes random bytes 5 % larger.
const PACK_LEVEL: u32 = 2;
/// How long to wait when a connection could not be taken, for want of descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a blocked read may delay the end, once all else is done.
const LAST_READS: Duration = Duration::from_secs(1);

/// How much of everything there may be at once.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections; more stay in the queue of the kernel until one ends.
    pub connections: usize,
    /// Requests being answered; more wait for [`Limits::patience`], then get `503`.
    pub requests: usize,
    /// Of these, those that pack an object: each takes a share of a core and 300 KiB.
    pub packing: usize,
    /// Requests that wait for a ref to move; more get `503`.
    pub followers: usize,
    /// How long a connection may do nothing or be stuck, give or take a quarter.
    pub patience: Duration,
    /// How long answers under way may take to finish at the end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            requests: 512,
            packing: 32,
            followers: 64,
            patience: Duration::from_secs(20),
            grace: Duration::from_secs(5),
        }
    }
}

/// How a server behaves.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Offer `trefoil/follow`, and `trefoil/report` after [`Server::hear`].
    pub follow: bool,
    /// End on SIGINT and SIGTERM; a second one ends at once.
    pub stop_on_signals: bool,
    /// The bounds.
    pub limits: Limits,
}

/// A server that has its address already.
#[derive(Debug)]
pub struct Server {
    repo: Arc<Repo>,
    listener: StdListener,
    address: SocketAddr,
    options: Options,
    hearer: Option<Hearer>,
    stop: Arc<watch::Sender<bool>>,
}

/// Ends a running server, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// No more connections are taken; answers under way have [`Limits::grace`] to finish.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Listens on `address`; port 0 is any that is free. Clients may connect from now on, and
    /// are answered once [`Server::run`] does.
    pub fn bind(repo: Repo, address: SocketAddr, options: Options) -> Result<Server> {
        let failed = |source| ServeError::Bind { address, source };
        let listener = StdListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let stop = Arc::new(watch::Sender::new(false));
        Ok(Server { repo: Arc::new(repo), listener, address: bound, options, hearer: None, stop })
    }

    /// Offers `trefoil/report`, where following is offered. `hear` is told of every report, from
    /// any thread, and must not block.
    pub fn hear(mut self, hear: impl Fn(Report) + Send + Sync + 'static) -> Server {
        self.hearer = Some(Hearer::new(hear));
        self
    }

    /// The address and port it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to end it with.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Answers until it is told to stop. `log` is told of every request when it is done, from
    /// any thread, and must not block.
    pub fn run(self, log: impl Fn(&Access) + Send + Sync + 'static) -> Result<()> {
        let (workers, blocking) = THREADS;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .max_blocking_threads(blocking)
            .thread_name("trefoil-serve")
            .enable_all()
            .build()
            .map_err(ServeError::Start)?;
        let done = runtime.block_on(self.serve(Arc::new(log)));
        Runtime::shutdown_timeout(runtime, LAST_READS);
        done.map_err(ServeError::Start)
    }

    async fn serve(self, log: Log) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let Options { follow, stop_on_signals, limits } = self.options;
        let mut signals = stop_on_signals.then(Signals::new).transpose()?;
        let followers =
            || Followers::new(self.repo.clone(), limits.followers, self.stop.subscribe());
        let shared = Arc::new(Shared {
            log,
            requests: Arc::new(Semaphore::new(limits.requests)),
            packing: Arc::new(Semaphore::new(limits.packing)),
            patience: limits.patience,
            pack_level: pack_level(&self.repo),
            followers: follow.then(followers),
            hearer: self.hearer.clone().filter(|_| follow),
            repo: self.repo.clone(),
        });
        let connections =
            Connections { builder: builder(&limits), graceful: GracefulShutdown::new() };
        let mut stopped = self.stop.subscribe();
        tokio::select! {
            () = accept(&listener, &limits, &shared, &connections) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = next_signal(&mut signals) => {}
        }
        drop(listener);
        self.stop.send_replace(true);
        tokio::select! {
            () = connections.graceful.shutdown() => {}
            () = tokio::time::sleep(limits.grace) => {}
            () = next_signal(&mut signals) => {}
        }
        Ok(())
    }
}

/// `archive.zlib-level` where it is set: somebody chose between time and size.
fn pack_level(repo: &Repo) -> u32 {
    match repo.config().key_file.raw("archive", "zlib-level") {
        Some(_) => repo.config().zlib_level,
        None => PACK_LEVEL,
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .max_buf_size(HEAD_LIMIT);
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_LIMIT as u32)
        .max_send_buf_size(SEND_BUFFER);
    builder
}

struct Connections {
    builder: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
}

impl Connections {
    fn start(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        shared: &Arc<Shared>,
        permit: OwnedSemaphorePermit,
    ) {
        // Only a matter of speed.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::default());
        let service = {
            let (shared, activity) = (shared.clone(), activity.clone());
            service_fn(move |request| answer(shared.clone(), activity.clone(), peer, request))
        };
        let io = TokioIo::new(Counted::new(stream, activity.clone()));
        let connection = self.builder.serve_connection(io, service).into_owned();
        let connection = self.graceful.watch(connection);
        let patience = shared.patience;
        tokio::spawn(async move {
            tokio::select! {
                // How a connection ended is the client's business; its requests are logged.
                _ = connection => {}
                () = activity.given_up(patience) => {}
            }
            drop(permit);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    limits: &Limits,
    shared: &Arc<Shared>,
    connections: &Connections,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    while let Ok(permit) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => connections.start(stream, peer, shared, permit),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

async fn next_signal(signals: &mut Option<Signals>) {
    match signals {
        None => std::future::pending().await,
        Some(signals) => tokio::select! {
            _ = signals.interrupt.recv() => {}
            _ = signals.terminate.recv() => {}
        },
    }
}
