//! Proxies: one of HTTP, with and without `CONNECT`, and one of SOCKS 5.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a proxy treats those who come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Lets everyone through.
    Open,
    /// Wants this value of `Proxy-Authorization`, or these bytes of a name and a password.
    Guarded(&'static str),
    /// Refuses everything.
    Closed,
    /// Closes the connection without a word.
    Silent,
}

/// A proxy on the loopback device, until the test process ends.
pub struct Proxy {
    pub port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn http(manner: Manner) -> Proxy {
        Proxy::start(move |stream, log| http(stream, manner, log))
    }

    pub fn socks(manner: Manner) -> Proxy {
        Proxy::start(move |stream, log| socks(stream, manner, log))
    }

    fn start(
        serve: impl Fn(TcpStream, &Mutex<Vec<String>>) -> Option<()> + Send + Sync + 'static,
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (serve, shared) = (Arc::new(serve), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, log) = (Arc::clone(&serve), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &log));
            }
        });
        Proxy { port, log }
    }

    /// The heads of requests, or the addresses asked for, since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().expect("no holder panics"))
    }
}

fn note(log: &Mutex<Vec<String>>, what: String) {
    log.lock().expect("no holder panics").push(what);
}

fn http(stream: TcpStream, manner: Manner, log: &Mutex<Vec<String>>) -> Option<()> {
    if manner == Manner::Silent {
        note(log, "silent".to_string());
        return None;
    }
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    note(log, head.clone());
    let refusal = match manner {
        Manner::Closed => Some("403 Forbidden"),
        Manner::Guarded(wanted) => {
            let given = head.lines().find_map(|line| {
                line.split_once(": ")
                    .filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"))
            });
            (given.map(|(_, value)| value) != Some(wanted))
                .then_some("407 Proxy Authentication Required")
        }
        Manner::Open | Manner::Silent => None,
    };
    let mut out = stream.try_clone().ok()?;
    if let Some(status) = refusal {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return out.write_all(text.as_bytes()).ok();
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method == "CONNECT" {
        let upstream = TcpStream::connect(target).ok()?;
        out.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
        return relay(stream, upstream);
    }
    let rest = target.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/')?;
    let mut upstream = TcpStream::connect(host).ok()?;
    let lines: Vec<&str> = head
        .lines()
        .skip(1)
        .filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"))
        .collect();
    let lines = lines.join("\r\n");
    let request = format!("GET /{path} HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n");
    upstream.write_all(request.as_bytes()).ok()?;
    std::io::copy(&mut upstream, &mut out).ok()?;
    out.shutdown(Shutdown::Both).ok()
}

fn socks(mut stream: TcpStream, manner: Manner, log: &Mutex<Vec<String>>) -> Option<()> {
    let methods = bytes(&mut stream, 2)?;
    bytes(&mut stream, usize::from(methods[1]))?;
    match manner {
        Manner::Guarded(wanted) => {
            stream.write_all(&[5, 2]).ok()?;
            let len = bytes(&mut stream, 2)?[1];
            let user = bytes(&mut stream, usize::from(len))?;
            let len = bytes(&mut stream, 1)?[0];
            let password = bytes(&mut stream, usize::from(len))?;
            let given = [&user[..], b":", &password].concat();
            let good = given == wanted.as_bytes();
            stream.write_all(&[1, u8::from(!good)]).ok()?;
            good.then_some(())?;
        }
        _ => stream.write_all(&[5, 0]).ok()?,
    }
    let request = bytes(&mut stream, 4)?;
    let host = match request[3] {
        1 => bytes(&mut stream, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        3 => {
            let len = bytes(&mut stream, 1)?[0];
            String::from_utf8(bytes(&mut stream, usize::from(len))?).ok()?
        }
        _ => return None,
    };
    let port = bytes(&mut stream, 2)?;
    let address = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
    note(log, address.clone());
    // 2: not allowed by the rules.
    let refused = u8::from(manner == Manner::Closed) * 2;
    stream.write_all(&[5, refused, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    match refused {
        0 => relay(stream, TcpStream::connect(address).ok()?),
        _ => None,
    }
}

fn bytes(stream: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Carries bytes both ways until either side ends.
fn relay(one: TcpStream, other: TcpStream) -> Option<()> {
    let (mut from, mut to) = (one.try_clone().ok()?, other.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    let (mut from, mut to) = (other, one);
    let _ = std::io::copy(&mut from, &mut to);
    to.shutdown(Shutdown::Both).ok()
}
