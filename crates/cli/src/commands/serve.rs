//! `serve`: a repository over HTTP, for the LAN and for VMs on this host.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use trefoil_repo::RepoMode;
use trefoil_serve::{Access, Options, Report, Server, State};

use crate::context::Context;
use crate::error::{CliError, Context as _, Result};

/// Lines that may wait for a slow reader; what comes on top is counted, not kept.
const LINES_WAITING: usize = 1024;
/// How long the last lines may take to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// The repository (defaults to --repo)
    #[arg(value_name = "REPO")]
    path: Option<PathBuf>,
    /// Listen here; port 0 is any that is free. Who can reach it can read the repository
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    bind: SocketAddr,
    /// Write the port to FILE once the server listens
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Let clients wait for a ref to move (GET trefoil/follow) and report what came of it
    #[arg(long)]
    follow: bool,
    /// Print the address and every request as JSON lines
    #[arg(long)]
    json: bool,
}

/// Runs `serve`: until SIGINT or SIGTERM.
pub fn run(args: ServeArgs, cx: &Context) -> Result<()> {
    let repo = match &args.path {
        Some(path) => cx.open_repo_at(path)?,
        None => cx.open_repo()?,
    };
    if repo.mode() != RepoMode::Archive {
        let mode = repo.mode();
        cx.ui.words(format_args!(
            "note: objects of a repository in mode {mode} are packed for every request, and its \
             summary is not served; mode archive is made for serving"
        ))?;
    }
    let options = Options { follow: args.follow, stop_on_signals: true, ..Options::default() };
    let server = Server::bind(repo, args.bind, options)?;
    let address = server.address();
    if let Some(path) = &args.port_file {
        write_port(cx, path, address.port()).context("writing the port file")?;
    }
    let url = format!("http://{address}/");
    match args.json {
        true => cx.ui.line(serde_json::to_string(&Listening { listening: &url })?)?,
        false => cx.ui.line(&url)?,
    }
    cx.ui.flush()?;
    let lines = Lines::start();
    let verbose = cx.global.verbose;
    let put = lines.putter();
    let (json, hear) = (args.json, lines.putter());
    let server = server.hear(move |report| {
        if json && let Ok(text) = serde_json::to_string(&Reported { report: &report }) {
            hear.line(Stream::Out, text);
        }
        hear.line(Stream::Err, report_words(&report));
    });
    let served = server.run(move |access| {
        if json && let Ok(text) = serde_json::to_string(&Request::of(access)) {
            put.line(Stream::Out, text);
        }
        if verbose || access.problem.is_some() {
            put.line(Stream::Err, words(access));
        }
    });
    let lost = lines.finish();
    if lost > 0 {
        cx.ui.words(format_args!("{lost} lines about requests were lost: nobody read them"))?;
    }
    Ok(served?)
}

/// Writes the port that a server listens on to the file `path`.
pub fn write_port(cx: &Context, path: &std::path::Path, port: u16) -> Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let dir = cx.fs.open_dir(parent.unwrap_or_else(|| ".".as_ref()))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| CliError::failed("not the name of a file"))?;
    Ok(dir.write(name, format!("{port}\n").as_bytes(), 0o644)?)
}

#[derive(Serialize)]
struct Listening<'a> {
    listening: &'a str,
}

/// Word from a machine that follows, for `--json`.
#[derive(Serialize)]
struct Reported<'a> {
    report: &'a Report,
}

fn report_words(report: &Report) -> String {
    let Report { machine, commit, state, error, .. } = report;
    let state = match state {
        State::Deployed => "deployed",
        State::Booted => "runs",
        State::Failed => "could not deploy",
    };
    let error = error.as_ref().map(|e| format!(": {}", e.escape_debug())).unwrap_or_default();
    format!("{machine} {state} {commit}{error}")
}

/// One request, for `--json`.
#[derive(Serialize)]
struct Request<'a> {
    peer: SocketAddr,
    method: &'a str,
    target: &'a str,
    version: &'a str,
    status: u16,
    bytes: u64,
    elapsed_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn of(access: &'a Access) -> Request<'a> {
        Request {
            peer: access.peer,
            method: &access.method,
            target: &access.target,
            version: &access.version,
            status: access.status,
            bytes: access.bytes,
            elapsed_us: u64::try_from(access.elapsed.as_micros()).unwrap_or(u64::MAX),
            problem: access.problem.as_deref(),
        }
    }
}

fn words(access: &Access) -> String {
    let Access { peer, method, target, version, status, bytes, elapsed, problem } = access;
    let problem = problem.as_ref().map(|p| format!(": {p}")).unwrap_or_default();
    let ms = elapsed.as_secs_f64() * 1000.0;
    // Whatever a client sends is one line on the terminal.
    let target = target.escape_debug();
    format!("{peer} \"{method} {target} {version}\" {status} {bytes} bytes {ms:.1} ms{problem}")
}

#[derive(Copy, Clone, Debug)]
enum Stream {
    Out,
    Err,
}

type Line = (Stream, String);

/// Writes lines from a thread of its own: a reader that does not read must not stop the server.
struct Lines {
    put: Putter,
    writer: JoinHandle<()>,
}

#[derive(Clone)]
struct Putter {
    sender: Arc<Mutex<Option<SyncSender<Line>>>>,
    lost: Arc<AtomicU64>,
}

impl Putter {
    fn line(&self, stream: Stream, text: String) {
        let sender = self.sender.lock().expect("no holder panics");
        if sender.as_ref().is_none_or(|s| s.try_send((stream, text)).is_err()) {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

impl Lines {
    fn start() -> Lines {
        let (sender, receiver) = mpsc::sync_channel(LINES_WAITING);
        let sender = Arc::new(Mutex::new(Some(sender)));
        let writer = std::thread::spawn(move || write_lines(&receiver));
        Lines { put: Putter { sender, lost: Arc::default() }, writer }
    }

    fn putter(&self) -> Putter {
        self.put.clone()
    }

    /// Writes what is left, and tells how many lines were lost. A reader that does not read is
    /// not waited for.
    fn finish(self) -> u64 {
        *self.put.sender.lock().expect("no holder panics") = None;
        let until = Instant::now() + LAST_LINES;
        while !self.writer.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.put.lost.load(Relaxed)
    }
}

fn write_lines(lines: &Receiver<Line>) {
    for (stream, text) in lines {
        let text = format!("{text}\n");
        // A reader that went away does not stop the server.
        let _ = match stream {
            Stream::Out => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Stream::Err => io::stderr().write_all(text.as_bytes()),
        };
    }
}
