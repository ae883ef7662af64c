//! Waiting for a ref.

use std::time::{Duration, Instant};

use trefoil_format::checksum::Checksum;
use trefoil_repo::RepoMode;
use trefoil_serve::Limits;

use crate::support::{Lab, Running};

fn question(name: &str, current: &Checksum, seconds: u32) -> String {
    format!("/trefoil/follow?ref={name}&current={current}&timeout={seconds}")
}

fn position(name: &str, at: &Checksum) -> String {
    format!("{{\"ref\":\"{name}\",\"checksum\":\"{at}\"}}\n")
}

fn commits() -> (Checksum, Checksum) {
    (Checksum::of(b"one"), Checksum::of(b"two"))
}

/// Guards the answers that need no waiting.
#[test]
fn answers_at_once_where_it_can() {
    let lab = Lab::new(RepoMode::Archive);
    let (one, two) = commits();
    lab.set_ref("os/main", &one);
    let server = lab.serve();
    let started = Instant::now();
    for target in
        [question("os/main", &two, 60), "/trefoil/follow?ref=os%2Fmain&current=".to_string()]
    {
        let answer = server.get(&target);
        assert_eq!((answer.status, answer.text()), (200, position("os/main", &one).as_str()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(server.get("/trefoil/follow?ref=../config").status, 400);
    assert_eq!(server.get("/trefoil/follow").status, 400);
    assert!(started.elapsed() < Duration::from_secs(10), "it waited");
}

/// Guards the time from a moved ref to the answer, and that the answer tells the new place. The
/// fastest of several rounds is judged: the others tell how busy the machine is.
#[test]
fn wakes_within_a_tenth_of_a_second() {
    let lab = Lab::new(RepoMode::Archive);
    let (mut at, mut next) = commits();
    lab.set_ref("main", &at);
    let server = lab.serve();
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let mut client = server.connect();
        client.send("GET", &question("main", &at, 20), &[]);
        std::thread::sleep(Duration::from_millis(120));
        let moved = Instant::now();
        lab.set_ref("main", &next);
        let answer = client.answer(false);
        fastest = fastest.min(moved.elapsed());
        assert_eq!(answer.text(), position("main", &next));
        std::mem::swap(&mut at, &mut next);
    }
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

/// Guards the end of the wait: not before its time, with where the ref is; 404 without a ref.
#[test]
fn time_runs_out() {
    let lab = Lab::new(RepoMode::Archive);
    let (one, _) = commits();
    lab.set_ref("main", &one);
    let server = lab.serve();
    let started = Instant::now();
    let answer = server.get(&question("main", &one, 1));
    let took = started.elapsed();
    assert_eq!((answer.status, answer.text()), (200, position("main", &one).as_str()));
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(server.get("/trefoil/follow?ref=nosuch&timeout=0").status, 404);
}

/// Guards a ref that is made, and one that goes away and comes back, while somebody waits.
#[test]
fn a_ref_may_come_late() {
    let lab = Lab::new(RepoMode::Archive);
    let (one, two) = commits();
    let server = lab.serve();
    let mut client = server.connect();
    client.send("GET", "/trefoil/follow?ref=a/b/c&timeout=20", &[]);
    std::thread::sleep(Duration::from_millis(100));
    lab.set_ref("a/b/c", &one);
    assert_eq!(client.answer(false).text(), position("a/b/c", &one));
    client.send("GET", &question("a/b/c", &one, 20), &[]);
    std::thread::sleep(Duration::from_millis(100));
    std::fs::remove_file(lab.path("repo/refs/heads/a/b/c")).expect("it is there");
    std::thread::sleep(Duration::from_millis(100));
    lab.set_ref("a/b/c", &two);
    assert_eq!(client.answer(false).text(), position("a/b/c", &two));
}

fn limited(lab: &Lab, followers: usize) -> Running {
    lab.serve_limited(Limits { followers, ..Limits::default() })
}

/// Guards the number of waiters, that a client which goes away makes room, and that files are
/// served beside them.
#[test]
fn waiters_are_bounded() {
    let lab = Lab::new(RepoMode::Archive);
    let (one, _) = commits();
    lab.set_ref("main", &one);
    let server = limited(&lab, 3);
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send("GET", &question("main", &one, 60), &[]);
    }
    std::thread::sleep(Duration::from_millis(200));
    let refused = server.get(&question("main", &one, 60));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(server.get("/config").status, 200);
    drop(waiting.pop());
    let until = Instant::now() + Duration::from_secs(10);
    while server.get(&question("main", &one, 0)).status == 503 {
        assert!(Instant::now() < until, "the place of a client that went away stays taken");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Guards the end of the server: those who wait are answered, and it does not take long.
#[test]
fn the_end_answers_those_who_wait() {
    let lab = Lab::new(RepoMode::Archive);
    let (one, _) = commits();
    lab.set_ref("main", &one);
    let server = lab.serve();
    let mut client = server.connect();
    client.send("GET", &question("main", &one, 60), &[]);
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(client.answer(false).text(), position("main", &one));
}
