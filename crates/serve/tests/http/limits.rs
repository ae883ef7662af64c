//! Clients that mean no good, or are slow.

use std::io::Read;
use std::time::{Duration, Instant};

use trefoil_repo::RepoMode;
use trefoil_serve::Limits;

use crate::support::{Client, Lab, Running};

fn impatient(lab: &Lab, milliseconds: u64) -> Running {
    let patience = Duration::from_millis(milliseconds);
    lab.serve_limited(Limits { connections: 16, patience, ..Limits::default() })
}

/// How long until the server closes the connection, while `feed` is done every now and then.
fn closed_after(client: &mut Client, mut feed: impl FnMut(&mut Client) -> bool) -> Duration {
    let started = Instant::now();
    let step = Some(Duration::from_millis(50));
    client.stream.set_read_timeout(step).expect("a timeout can be set");
    let mut buffer = [0; 1024];
    loop {
        match client.stream.read(&mut buffer) {
            Ok(0) => return started.elapsed(),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return started.elapsed(),
        }
        if !feed(client) {
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(15), "never closed");
    }
}

fn dribble(client: &mut Client, byte: u8) -> bool {
    use std::io::Write;
    client.stream.write_all(&[byte]).is_ok()
}

/// Guards against connections that hold a place without ever asking: silent ones, ones that
/// send a head byte by byte in either protocol, and kept ones that ask no more.
#[test]
fn those_who_do_not_ask_are_closed() {
    let lab = Lab::new(RepoMode::Archive);
    let server = impatient(&lab, 800);
    let mut silent = server.connect();
    closed_after(&mut silent, |_| true);
    let mut slow = server.connect();
    slow.raw(b"GET /config HTTP/1.1\r\nx: ");
    closed_after(&mut slow, |c| dribble(c, b'a'));
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".iter();
    let mut slow2 = server.connect();
    closed_after(&mut slow2, |c| preface.next().is_none_or(|b| dribble(c, *b)));
    let mut kept = server.connect();
    assert_eq!(kept.ask("GET", "/config", &[]).status, 200);
    closed_after(&mut kept, |_| true);
    assert_eq!(server.get("/config").status, 200);
}

/// Guards against a client that asks for much and takes none of it.
#[test]
fn those_who_do_not_take_are_closed() {
    let lab = Lab::new(RepoMode::Archive);
    lab.put("extensions/file", b"");
    let file = std::fs::OpenOptions::new().write(true).open(lab.path("repo/extensions/file"));
    file.expect("it is there").set_len(1 << 30).expect("sparse files work");
    let server = impatient(&lab, 800);
    let mut client = server.connect();
    client.send("GET", "/extensions/file", &[]);
    let until = Instant::now() + Duration::from_secs(15);
    while server.log.lock().expect("alive").is_empty() {
        assert!(Instant::now() < until, "never given up");
        std::thread::sleep(Duration::from_millis(50));
    }
    let sent = server.log.lock().expect("alive")[0].bytes;
    assert!(sent < 64 << 20, "{sent} bytes are held for a client that takes none");
}

/// Guards a slow client that does take something: it gets all of it, over twice the
/// patience.
#[test]
fn slow_is_not_stuck() {
    let lab = Lab::new(RepoMode::Archive);
    let size = 24 << 20;
    lab.put("extensions/file", &vec![b'x'; size]);
    let server = impatient(&lab, 1500);
    let mut client = server.connect();
    client.send("GET", "/extensions/file", &[]);
    let (mut got, mut buffer) = (0, vec![0; 512 << 10]);
    let started = Instant::now();
    while got < size {
        let n = client.stream.read(&mut buffer).expect("it goes on");
        assert!(n > 0, "closed after {got} bytes");
        got += n;
        if started.elapsed() < Duration::from_millis(3200) {
            std::thread::sleep(Duration::from_millis(60));
        }
    }
}

/// Guards the number of connections: one too many waits, and is served when there is room.
#[test]
fn too_many_wait_for_room() {
    let lab = Lab::new(RepoMode::Archive);
    let limits = Limits { connections: 2, patience: Duration::from_secs(60), ..Limits::default() };
    let server = lab.serve_limited(limits);
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(first.ask("GET", "/config", &[]).status, 200);
    assert_eq!(second.ask("GET", "/config", &[]).status, 200);
    let mut third = server.connect();
    third.send("GET", "/config", &[]);
    third.stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    let early = third.stream.read(&mut [0]);
    assert!(early.is_err(), "a third was served beside two: {early:?}");
    drop(first);
    third.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    assert_eq!(third.answer(false).status, 200);
}

/// Guards the size of a head.
#[test]
fn heads_are_bounded() {
    let lab = Lab::new(RepoMode::Archive);
    let server = lab.serve();
    let long = "a".repeat(100_000);
    let answer = server.get_with("/config", &[("x", &long)]);
    assert_eq!(answer.status, 431);
    assert_eq!(server.get("/config").status, 200);
}
