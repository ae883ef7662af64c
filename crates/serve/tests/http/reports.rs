//! Word from machines that follow.

use std::time::{Duration, Instant};

use trefoil_repo::RepoMode;
use trefoil_serve::{Apply, Limits, Options, Report, State};

use crate::support::{Answer, Client, Lab, Running};

const TARGET: &str = "/trefoil/report";

fn report(commit: char) -> Report {
    Report {
        name: "os/main".to_string(),
        commit: commit.to_string().repeat(64),
        machine: "vm".to_string(),
        state: State::Deployed,
        apply: Apply::Reboot,
        pulled_ms: Some(70),
        deployed_ms: Some(50),
        booted_ms: None,
        error: None,
    }
}

fn send(client: &mut Client, kind: &str, body: &[u8]) -> Answer {
    let length = body.len().to_string();
    client.send("POST", TARGET, &[("content-type", kind), ("content-length", &length)]);
    client.raw(body);
    client.answer(false)
}

fn post(server: &Running, kind: &str, body: &[u8]) -> u16 {
    send(&mut server.connect(), kind, body).status
}

/// Guards that reports come through, over one connection and with questions between them.
#[test]
fn a_report_is_heard() {
    let lab = Lab::new(RepoMode::Archive);
    let server = lab.serve();
    let mut client = server.connect();
    for commit in ['a', 'b'] {
        let answer = send(&mut client, "application/json", &report(commit).to_bytes());
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert_eq!(client.ask("GET", "/config", &[]).status, 200);
    }
    let heard = server.heard.lock().expect("alive").clone();
    assert_eq!(heard, [report('a'), report('b')]);
}

/// Guards what is no report: the answers of the documentation, and silence to those who listen.
#[test]
fn what_is_no_report_is_refused() {
    let lab = Lab::new(RepoMode::Archive);
    let server = lab.serve();
    let good = report('a').to_bytes();
    assert_eq!(post(&server, "text/plain", &good), 415);
    assert_eq!(post(&server, "application/json", b"{}"), 400);
    assert_eq!(post(&server, "application/json", &good[1..]), 400);
    let long = [good.as_slice(), &[b' '; Report::LIMIT]].concat();
    assert_eq!(post(&server, "application/json", &long), 413);
    let get = server.get(TARGET);
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    // One that does not say how long it is, and does not end.
    let mut client = server.connect();
    let json = ("content-type", "application/json");
    client.send("POST", TARGET, &[json, ("transfer-encoding", "chunked")]);
    for _ in 0..5 {
        client.raw(b"1000\r\n");
        client.raw(&[b' '; 0x1000]);
        client.raw(b"\r\n");
    }
    assert_eq!(client.answer(false).status, 413);
    assert!(server.heard.lock().expect("alive").is_empty());
}

/// Guards that reports belong to following.
#[test]
fn nobody_listens_without_following() {
    let lab = Lab::new(RepoMode::Archive);
    let server = lab.serve_with(Options::default());
    assert_eq!(post(&server, "application/json", &report('a').to_bytes()), 404);
    assert!(server.heard.lock().expect("alive").is_empty());
}

/// Guards against a report that is begun and never ended: its connection is closed.
#[test]
fn a_report_has_to_come_to_its_end() {
    let lab = Lab::new(RepoMode::Archive);
    let patience = Duration::from_millis(400);
    let server = lab.serve_limited(Limits { patience, ..Limits::default() });
    let mut client = server.connect();
    client.send("POST", TARGET, &[("content-type", "application/json"), ("content-length", "100")]);
    client.raw(b"{");
    let started = Instant::now();
    assert!(client.try_answer(false).is_none(), "it was answered");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(server.heard.lock().expect("alive").is_empty());
}
