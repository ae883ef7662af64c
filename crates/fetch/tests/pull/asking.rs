//! Small questions to the host of a remote.

use std::time::{Duration, Instant};

use trefoil_fetch::{Caller, FetchSettings};
use trefoil_repo::pull::transport::FetchProblem;

use crate::server::{Reply, Server};

const PATIENCE: Duration = Duration::from_secs(20);

fn ask(reply: impl Fn() -> Reply + Send + Sync + 'static, patience: Duration) -> Answer {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let server = Server::start(dir.path());
    server.lie(move |_| reply());
    let caller = Caller::new(FetchSettings::default(), &server.url("repo")).expect("an address");
    let query = [("ref", "os/main"), ("current", "")];
    let asked = caller.ask("trefoil/follow", &query, patience, 100);
    let requests = server.take_requests().len();
    (asked.map_err(|e| e.problem), requests)
}

type Answer = (Result<Vec<u8>, FetchProblem>, usize);

/// Guards what comes of an answer: its bytes, no more of them than asked for, and nothing after
/// the patience has ended. Nothing is asked twice, and nobody is followed elsewhere.
#[test]
fn an_answer_is_bounded() {
    let (answer, _) = ask(|| Reply::Content(b"{}".to_vec()), PATIENCE);
    assert_eq!(answer.expect("it came"), b"{}");
    let (answer, requests) = ask(|| Reply::Endless, PATIENCE);
    assert!(matches!(answer, Err(FetchProblem::TooLarge { limit: 100 })), "{answer:?}");
    assert_eq!(requests, 1);
    let (answer, requests) = ask(|| Reply::Status(503), PATIENCE);
    assert!(matches!(answer, Err(FetchProblem::Status(503))), "{answer:?}");
    assert_eq!(requests, 1);
    let (answer, requests) = ask(|| Reply::Redirect("/elsewhere".to_string()), PATIENCE);
    assert!(matches!(answer, Err(FetchProblem::Status(301..=308))), "{answer:?}");
    assert_eq!(requests, 1);
    let started = Instant::now();
    let slow = || Reply::Trickle(Duration::from_millis(100));
    let (answer, _) = ask(slow, Duration::from_millis(600));
    assert!(matches!(answer, Err(FetchProblem::Slow(_))), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let refused = Caller::new(FetchSettings::default(), "file:///repo");
    assert!(matches!(refused.map_err(|e| e.problem), Err(FetchProblem::Refused(_))));
}
