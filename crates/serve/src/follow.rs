//! Waiting until a ref moves. The protocol is in the documentation of the crate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use trefoil_format::checksum::Checksum;
use trefoil_format::name::{RefName, Refspec};
use trefoil_repo::{Repo, RepoError};

use crate::resource::decode;
use crate::respond::{Reply, set};

/// How often a ref that somebody waits for is looked at: one open and one read each time.
const INTERVAL: Duration = Duration::from_millis(40);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(300);

/// The body of an answer.
#[derive(Serialize)]
struct Position<'a> {
    r#ref: &'a str,
    checksum: String,
}

/// A question, understood.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    name: RefName,
    current: Option<Checksum>,
    timeout: Duration,
}

impl Question {
    /// `None` where a part makes no sense, is there twice, or the ref is not named. Parts with
    /// other names are left for later versions.
    fn parse(query: &str) -> Option<Question> {
        let (mut name, mut current, mut timeout) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let value = decode(value)?;
            let twice = match key {
                "ref" => name.replace(RefName::new(&value).ok()?).is_some(),
                "current" if value.is_empty() => false,
                "current" => current.replace(Checksum::from_hex(&value).ok()?).is_some(),
                "timeout" => timeout.replace(value.parse().ok()?).is_some(),
                _ => false,
            };
            if twice {
                return None;
            }
        }
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs).min(LONGEST_TIMEOUT);
        Some(Question { name: name?, current, timeout })
    }
}

/// Whether a query is a question: for the fuzz targets.
pub(crate) fn is_question(query: &str) -> bool {
    Question::parse(query).is_some_and(|question| question.timeout <= LONGEST_TIMEOUT)
}

/// Everyone who waits.
pub(crate) struct Followers {
    repo: Arc<Repo>,
    watched: Arc<Watched>,
    places: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

#[derive(Default)]
struct Watched(Mutex<State>);

#[derive(Default)]
struct State {
    /// What was last seen of each ref that somebody waits for.
    refs: BTreeMap<RefName, watch::Sender<Option<Checksum>>>,
    is_polled: bool,
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

impl Followers {
    pub fn new(repo: Arc<Repo>, places: usize, stopping: watch::Receiver<bool>) -> Followers {
        let places = Arc::new(Semaphore::new(places));
        Followers { repo, watched: Arc::default(), places, stopping }
    }

    /// Answers the question in `query`, as late as it allows.
    pub async fn answer(&self, query: &str) -> Reply {
        let Some(question) = Question::parse(query) else {
            return Reply::words(StatusCode::BAD_REQUEST);
        };
        let Ok(_place) = self.places.try_acquire() else {
            return Reply::words(StatusCode::SERVICE_UNAVAILABLE);
        };
        match self.wait(&question).await {
            Ok(Some(checksum)) => position(&question.name, &checksum),
            Ok(None) => Reply::words(StatusCode::NOT_FOUND),
            Err(problem) => {
                Reply { problem: Some(problem), ..Reply::words(StatusCode::INTERNAL_SERVER_ERROR) }
            }
        }
    }

    /// Where the ref is: when it is elsewhere, or when there is no more time.
    async fn wait(&self, question: &Question) -> Result<Option<Checksum>, String> {
        let Question { name, current, timeout } = question;
        let until = Instant::now() + *timeout;
        let mut stopping = self.stopping.clone();
        let mut changes = self.watch(name);
        loop {
            // The seen value may be older than what the client saw itself: it only wakes.
            changes.mark_unchanged();
            let at = self.look(name).await?;
            let moved = at.is_some() && at != *current;
            if moved || Instant::now() >= until || *stopping.borrow() {
                return Ok(at);
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    async fn look(&self, name: &RefName) -> Result<Option<Checksum>, String> {
        let (repo, name) = (self.repo.clone(), name.clone());
        let looked = tokio::task::spawn_blocking(move || read(&repo, &name)).await;
        looked.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }

    /// Has the ref looked at from now on, until the receiver is dropped.
    fn watch(&self, name: &RefName) -> watch::Receiver<Option<Checksum>> {
        let mut state = self.watched.state();
        let sender = state.refs.entry(name.clone()).or_insert_with(|| watch::Sender::new(None));
        let receiver = sender.subscribe();
        if !std::mem::replace(&mut state.is_polled, true) {
            tokio::spawn(poll(self.repo.clone(), self.watched.clone()));
        }
        receiver
    }
}

/// Looks at the refs as long as anybody waits.
async fn poll(repo: Arc<Repo>, watched: Arc<Watched>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let names: Vec<RefName> = {
            let mut state = watched.state();
            state.refs.retain(|_, sender| sender.receiver_count() > 0);
            state.is_polled = !state.refs.is_empty();
            state.refs.keys().cloned().collect()
        };
        if names.is_empty() {
            return;
        }
        let (repo, watched) = (repo.clone(), watched.clone());
        // It cannot fail but by a panic in reading, and then the next round tries again.
        let _ = tokio::task::spawn_blocking(move || {
            for name in names {
                // A ref that cannot be read has not moved; the waiter says why in the end.
                let Ok(now) = read(&repo, &name) else { continue };
                if let Some(sender) = watched.state().refs.get(&name) {
                    sender.send_if_modified(|seen| std::mem::replace(seen, now) != now);
                }
            }
        })
        .await;
    }
}

fn read(repo: &Repo, name: &RefName) -> Result<Option<Checksum>, RepoError> {
    repo.resolve_refspec(&Refspec::local(name.clone()), false)
}

fn position(name: &RefName, checksum: &Checksum) -> Reply {
    let position = Position { r#ref: name, checksum: checksum.to_hex() };
    let text = serde_json::to_string(&position).expect("two strings are JSON");
    let mut reply = Reply::words(StatusCode::OK);
    reply.ready = Bytes::from(format!("{text}\n"));
    set(&mut reply.headers, header::CONTENT_TYPE, "application/json");
    set(&mut reply.headers, header::CACHE_CONTROL, "no-store");
    set(&mut reply.headers, header::CONTENT_LENGTH, &reply.ready.len().to_string());
    reply
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Question;

    /// Guards what a question may look like: half-understood ones are refused.
    #[test]
    fn questions() {
        let parsed = |query: &str| Question::parse(query).map(|q| (q.name.to_string(), q.timeout));
        let seconds = Duration::from_secs;
        assert_eq!(parsed("ref=main"), Some(("main".to_string(), seconds(30))));
        assert_eq!(parsed("ref=os%2Fmain&timeout=5"), Some(("os/main".to_string(), seconds(5))));
        assert_eq!(parsed("timeout=9999999&ref=a&x=1&"), Some(("a".to_string(), seconds(300))));
        assert_eq!(parsed("ref=main&current="), Some(("main".to_string(), seconds(30))));
        let current = format!("ref=main&current={}", "a".repeat(64));
        assert!(Question::parse(&current).is_some_and(|q| q.current.is_some()));
        for nonsense in [
            "",
            "ref=",
            "ref",
            "current=",
            "ref=../x",
            "ref=a&ref=b",
            "ref=main&timeout=-1",
            "ref=main&timeout=1.5",
            "ref=main&current=abc",
            "ref=main&current=%",
            "ref=%00",
            "ref=origin:main",
        ] {
            assert_eq!(Question::parse(nonsense), None, "{nonsense}");
        }
    }
}
