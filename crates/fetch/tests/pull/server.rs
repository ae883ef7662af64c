use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path, as it was sent.
    pub path: String,
    /// By lower case name.
    pub headers: BTreeMap<String, String>,
    /// How often this path was asked for before.
    pub nth: u64,
}

/// What to answer.
pub enum Reply {
    /// The file of that name, honestly: ranges and conditions too.
    Honest,
    /// These bytes as the content of the file.
    Content(Vec<u8>),
    /// This status and nothing else.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// As if there were so many bytes; then the connection is closed.
    Cut { claimed: usize, sent: Vec<u8> },
    /// The file, of which the connection carries half.
    Half,
    /// The file, of which half comes and then nothing for a minute.
    Stall,
    /// Bytes for as long as the client takes them, without saying how many.
    Endless,
    /// The first bytes, then the second ones for as long as the client takes them.
    EndlessOf(Vec<u8>, Vec<u8>),
    /// Headers for as long as the client takes them.
    EndlessHead,
    /// One byte every now and then.
    Trickle(Duration),
    /// The connection is closed without an answer.
    Nothing,
}

type Lie = dyn Fn(&Request) -> Reply + Send + Sync;

/// What the server saw.
#[derive(Default)]
pub struct Log {
    counts: Mutex<BTreeMap<String, u64>>,
    requests: Mutex<Vec<Request>>,
    bytes: AtomicU64,
}

/// A web server on the loopback device, for as long as the value lives.
pub struct Server {
    port: u16,
    pub log: Arc<Log>,
    lie: Arc<Mutex<Arc<Lie>>>,
}

impl Server {
    /// Serves the directory `root`.
    pub fn start(root: &Path) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let log = Arc::new(Log::default());
        let honest: Arc<Lie> = Arc::new(|_: &Request| Reply::Honest);
        let lie = Arc::new(Mutex::new(honest));
        let shared = (root.to_path_buf(), Arc::clone(&log), Arc::clone(&lie));
        // It ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, log, lie) = shared.clone();
                std::thread::spawn(move || serve(stream, &root, &log, &lie));
            }
        });
        Server { port, log, lie }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Answers from now on as `lie` says.
    pub fn lie(&self, lie: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.lie.lock().expect("no holder panics") = Arc::new(lie);
    }

    pub fn honest(&self) {
        self.lie(|_| Reply::Honest);
    }

    /// Requests and bytes of content since the last call.
    pub fn take_counts(&self) -> (u64, u64) {
        let requests = self.take_requests().len() as u64;
        (requests, self.log.bytes.swap(0, Relaxed))
    }

    /// The requests since the last call.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.log.requests.lock().expect("no holder panics"))
    }
}

fn serve(stream: TcpStream, root: &Path, log: &Log, lie: &Mutex<Arc<Lie>>) {
    stream.set_nodelay(true).expect("no delay");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut out = stream;
    while let Some(mut request) = read_request(&mut reader) {
        {
            let mut counts = log.counts.lock().expect("no holder panics");
            let count = counts.entry(request.path.clone()).or_default();
            request.nth = *count;
            *count += 1;
        }
        log.requests.lock().expect("no holder panics").push(request.clone());
        let lie = Arc::clone(&lie.lock().expect("no holder panics"));
        if answer(&mut out, root, log, &request, lie(&request)).is_none() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.trim_start_matches('/').to_string();
    let mut request = Request { path, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Some(request) };
        request.headers.insert(name.to_ascii_lowercase(), value.to_string());
    }
}

fn answer(
    out: &mut TcpStream,
    root: &Path,
    log: &Log,
    request: &Request,
    reply: Reply,
) -> Option<()> {
    match reply {
        Reply::Honest => honest(out, root, log, request, false),
        Reply::Half => honest(out, root, log, request, true),
        Reply::Stall => {
            honest(out, root, log, request, true);
            std::thread::sleep(Duration::from_secs(60));
            None
        }
        Reply::Content(bytes) => {
            send(out, "200 OK", &[], &bytes)?;
            log.bytes.fetch_add(bytes.len() as u64, Relaxed);
            Some(())
        }
        Reply::Status(status) => send(out, &format!("{status} Whatever"), &[], b"no"),
        Reply::Redirect(to) => send(out, "302 Found", &[("Location", to)], b""),
        Reply::Cut { claimed, sent } => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {claimed}\r\n\r\n");
            out.write_all(head.as_bytes()).ok()?;
            out.write_all(&sent).ok()?;
            None
        }
        Reply::Endless => {
            out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").ok()?;
            let zeros = vec![0; 1 << 16];
            loop {
                out.write_all(&zeros).ok()?;
                log.bytes.fetch_add(zeros.len() as u64, Relaxed);
            }
        }
        Reply::EndlessOf(first, rest) => {
            out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").ok()?;
            out.write_all(&first).ok()?;
            let rest = rest.repeat(1000);
            loop {
                out.write_all(&rest).ok()?;
                log.bytes.fetch_add(rest.len() as u64, Relaxed);
            }
        }
        Reply::EndlessHead => {
            out.write_all(b"HTTP/1.1 200 OK\r\n").ok()?;
            for n in 0_u64.. {
                out.write_all(format!("X-{n}: {}\r\n", "y".repeat(1000)).as_bytes()).ok()?;
            }
            None
        }
        Reply::Trickle(pause) => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").ok()?;
            loop {
                out.write_all(b"x").ok()?;
                std::thread::sleep(pause);
            }
        }
        Reply::Nothing => None,
    }
}

fn honest(
    out: &mut TcpStream,
    root: &Path,
    log: &Log,
    request: &Request,
    half: bool,
) -> Option<()> {
    let path: PathBuf = root.join(&request.path);
    let Ok(bytes) = std::fs::read(&path) else {
        return send(out, "404 Not Found", &[], b"no");
    };
    let time = path.metadata().ok()?.modified().ok()?;
    let nanos = time.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos();
    let etag = format!("\"{}-{nanos}\"", bytes.len());
    let headers = [("ETag", etag.clone())];
    if request.headers.get("if-none-match") == Some(&etag) {
        return send(out, "304 Not Modified", &headers, b"");
    }
    let from = request.headers.get("range").and_then(|r| r.strip_prefix("bytes="));
    let from = from.and_then(|r| r.strip_suffix('-')).and_then(|r| r.parse::<usize>().ok());
    if let Some(from) = from.filter(|from| *from < bytes.len())
        && request.headers.get("if-range") == Some(&etag)
    {
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        let headers = [("ETag", etag), ("Content-Range", range)];
        send(out, "206 Partial Content", &headers, &bytes[from..])?;
        log.bytes.fetch_add((bytes.len() - from) as u64, Relaxed);
        return Some(());
    }
    if half {
        let len = bytes.len();
        let head = format!("HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: {len}\r\n\r\n");
        out.write_all(head.as_bytes()).ok()?;
        out.write_all(&bytes[..len / 2]).ok()?;
        log.bytes.fetch_add((len / 2) as u64, Relaxed);
        return None;
    }
    send(out, "200 OK", &headers, &bytes)?;
    log.bytes.fetch_add(bytes.len() as u64, Relaxed);
    Some(())
}

fn send(out: &mut TcpStream, status: &str, headers: &[(&str, String)], body: &[u8]) -> Option<()> {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !status.starts_with("304") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    out.write_all(&bytes).ok()
}
