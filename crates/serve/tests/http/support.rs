//! A repository, a server on it, and a client that sends what it is told and no more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::name::{RefName, Refspec};
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::Fs;
use trefoil_repo::{FileSource, Repo, RepoMode};
use trefoil_serve::{Access, Limits, Options, Report, Server, Stopper};

/// No answer of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Lab {
    dir: TempDir,
    pub repo: Repo,
}

impl Lab {
    pub fn new(mode: RepoMode) -> Lab {
        let dir = TempDir::new().expect("a temporary directory can be made");
        std::fs::create_dir(dir.path().join("repo")).expect("it is writable");
        let mut repo = open(&dir.path().join("repo"), |dir| Repo::create(dir, mode, None));
        repo.set_fsync(false);
        Lab { dir, repo }
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    /// Stores a regular file of root and gives its checksum.
    pub fn store(&self, content: &[u8]) -> Checksum {
        let header = FileHeader {
            uid: 0,
            gid: 0,
            mode: 0o100_644,
            symlink_target: None,
            xattrs: Xattrs::default(),
        };
        let transaction = self.repo.begin().expect("a transaction can begin");
        let checksum =
            transaction.write_file(&header, FileSource::Bytes(content)).expect("it can be stored");
        transaction.commit().expect("it can be committed");
        checksum
    }

    pub fn set_ref(&self, name: &str, target: &Checksum) {
        let name = Refspec::local(RefName::new(name).expect("a ref name"));
        self.repo.set_ref(&name, Some(target)).expect("a ref can be set");
    }

    /// Puts a file into the repository, past everything.
    pub fn put(&self, rel: &str, content: &[u8]) {
        let path = self.path("repo").join(rel);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it is writable");
        std::fs::write(path, content).expect("it is writable");
    }

    pub fn serve(&self) -> Running {
        self.serve_with(Options { follow: true, ..Options::default() })
    }

    pub fn serve_limited(&self, limits: Limits) -> Running {
        self.serve_with(Options { follow: true, limits, ..Options::default() })
    }

    pub fn serve_with(&self, options: Options) -> Running {
        let repo = open(&self.path("repo"), Repo::open);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let heard: Arc<Mutex<Vec<Report>>> = Arc::default();
        let hear = heard.clone();
        let server = Server::bind(repo, any, options).expect("a port is free");
        let server = server.hear(move |report| hear.lock().expect("alive").push(report));
        let (address, stopper) = (server.address(), server.stopper());
        let log: Arc<Mutex<Vec<Access>>> = Arc::default();
        let noted = log.clone();
        let thread = std::thread::spawn(move || {
            let note = move |access: &Access| noted.lock().expect("alive").push(access.clone());
            server.run(note).expect("it runs to its end");
        });
        Running { address, stopper, log, heard, thread: Some(thread) }
    }
}

fn open(path: &Path, with: impl FnOnce(trefoil_fsat::Dir) -> trefoil_repo::Result<Repo>) -> Repo {
    with(Fs::new().open_dir(path).expect("it was just made")).expect("it is a repository")
}

/// The path of a content object in a request.
pub fn filez(checksum: &Checksum) -> String {
    object(checksum, ObjectType::File)
}

pub fn object(checksum: &Checksum, kind: ObjectType) -> String {
    format!("/objects/{}", LoosePath::new(&ObjectName::new(*checksum, kind), true))
}

/// A server in a thread; ends when dropped.
pub struct Running {
    pub address: SocketAddr,
    pub stopper: Stopper,
    pub log: Arc<Mutex<Vec<Access>>>,
    pub heard: Arc<Mutex<Vec<Report>>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Client { stream, rest: Vec::new() }
    }

    pub fn get(&self, target: &str) -> Answer {
        self.connect().ask("GET", target, &[])
    }

    pub fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.connect().ask("GET", target, headers)
    }

    /// Stops it and waits.
    pub fn stop(mut self) {
        self.stopper.stop();
        self.thread.take().expect("stopped once").join().expect("it does not panic");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// One connection of HTTP/1.1.
pub struct Client {
    pub stream: TcpStream,
    rest: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("it is text")
    }
}

impl Client {
    /// Sends a request with the target as it is, and reads the whole answer.
    pub fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, target, headers);
        self.answer(method == "HEAD")
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(format!("{text}\r\n").as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes it");
    }

    pub fn answer(&mut self, is_head: bool) -> Answer {
        self.try_answer(is_head).expect("an answer comes")
    }

    /// `None` where the connection ends before the answer does.
    pub fn try_answer(&mut self, is_head: bool) -> Option<Answer> {
        let head = self.up_to(b"\r\n\r\n")?;
        let head = String::from_utf8(head).expect("heads are text");
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        if is_head || status == 204 || status == 304 {
            return Some(answer);
        }
        answer.body = match answer.header("content-length") {
            Some(len) => self.exactly(len.parse().expect("a number"))?,
            None => {
                assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
                self.chunks()?
            }
        };
        Some(answer)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let line = String::from_utf8(self.up_to(b"\r\n")?).expect("text");
            let len = usize::from_str_radix(line.trim(), 16).expect("a number");
            all.extend(self.exactly(len)?);
            self.up_to(b"\r\n")?;
            if len == 0 {
                return Some(all);
            }
        }
    }

    fn up_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.rest.windows(end.len()).position(|w| w == end) {
                return Some(self.rest.drain(..at + end.len()).collect());
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.rest.len() < len {
            self.more()?;
        }
        Some(self.rest.drain(..len).collect())
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(n) => {
                self.rest.extend_from_slice(&buffer[..n]);
                Some(())
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("no answer: {e}"),
        }
    }
}
