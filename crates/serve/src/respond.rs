//! From a request to its answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trefoil_repo::Repo;

use crate::access::{Log, Ticket};
use crate::body::{Answer, FilePart, Source, step};
use crate::conditional::{Verdict, judge};
use crate::connection::{Activity, Busy};
use crate::follow::Followers;
use crate::open::{Opened, Origin, Unavailable, may_pack, open};
use crate::report::Hearer;
use crate::resource::Resource;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// What all connections share.
pub(crate) struct Shared {
    pub repo: Arc<Repo>,
    pub log: Log,
    pub requests: Arc<Semaphore>,
    pub packing: Arc<Semaphore>,
    /// How long a request waits for its turn.
    pub patience: Duration,
    pub pack_level: u32,
    /// `None` where following is not offered.
    pub followers: Option<Followers>,
    /// `None` where reports are not wanted.
    pub hearer: Option<Hearer>,
}

/// An answer before it is sent.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub ready: Bytes,
    pub rest: Option<Box<dyn Source>>,
    /// Told to the log, not to the client.
    pub problem: Option<String>,
}

impl Reply {
    /// A short answer in words, not to be kept.
    pub fn words(status: StatusCode) -> Reply {
        let text = status.canonical_reason().unwrap_or("Error");
        let mut headers = HeaderMap::new();
        set(&mut headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
        set(&mut headers, header::CACHE_CONTROL, ASK_AGAIN);
        match status {
            StatusCode::METHOD_NOT_ALLOWED => set(&mut headers, header::ALLOW, "GET, HEAD"),
            StatusCode::SERVICE_UNAVAILABLE => set(&mut headers, header::RETRY_AFTER, "1"),
            _ => {}
        }
        let ready = Bytes::from(format!("{text}\n"));
        set(&mut headers, header::CONTENT_LENGTH, &ready.len().to_string());
        Reply { status, headers, ready, rest: None, problem: None }
    }

    /// All went well, and there is nothing to say.
    pub fn nothing() -> Reply {
        let (status, headers) = (StatusCode::NO_CONTENT, HeaderMap::new());
        Reply { status, headers, ready: Bytes::new(), rest: None, problem: None }
    }
}

pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("our values are printable ASCII");
    headers.insert(name, value);
}

/// Answers one request. What was sent along as a body is not read, but for a report.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let (parts, body) = request.into_parts();
    let Parts { method, uri, version, headers, .. } = parts;
    let resource = Resource::parse(uri.path());
    let busy = match resource {
        Some(Resource::Follow) => Busy::waiting(activity),
        _ => Busy::answering(activity),
    };
    let mut ticket = Ticket::new(shared.log.clone(), peer, &method, &uri, version, busy);
    let is_head = method == Method::HEAD;
    let reply = match (resource, &shared.followers) {
        (Some(Resource::Report), _) => match &shared.hearer {
            Some(hearer) => report(&shared, hearer, &method, &headers, body).await,
            None => Reply::words(StatusCode::NOT_FOUND),
        },
        _ if !is_head && method != Method::GET => Reply::words(StatusCode::METHOD_NOT_ALLOWED),
        (None, _) | (Some(Resource::Follow), None) => Reply::words(StatusCode::NOT_FOUND),
        (Some(Resource::Follow), Some(followers)) => {
            followers.answer(uri.query().unwrap_or_default()).await
        }
        (Some(resource), _) => serve(&shared, resource, headers, is_head, &mut ticket).await,
    };
    Ok(finish(reply, is_head, ticket))
}

fn finish(reply: Reply, is_head: bool, mut ticket: Ticket) -> Response<Answer> {
    let Reply { status, headers, ready, rest, problem } = reply;
    ticket.access.status = status.as_u16();
    ticket.access.problem = problem;
    let body = match is_head {
        true => Answer::new(Bytes::new(), None, ticket),
        false => Answer::new(ready, rest, ticket),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    set(response.headers_mut(), header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Takes a report; while it comes in it counts as a request like any other.
async fn report(
    shared: &Arc<Shared>,
    hearer: &Hearer,
    method: &Method,
    headers: &HeaderMap,
    body: Incoming,
) -> Reply {
    match turn(&shared.requests, shared.patience).await {
        Some(_permit) => hearer.answer(method, headers, body).await,
        None => Reply::words(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn serve(
    shared: &Arc<Shared>,
    resource: Resource,
    headers: HeaderMap,
    is_head: bool,
    ticket: &mut Ticket,
) -> Reply {
    let mut needed = vec![&shared.requests];
    if may_pack(&shared.repo, &resource) {
        needed.push(&shared.packing);
    }
    for semaphore in needed {
        match turn(semaphore, shared.patience).await {
            Some(permit) => ticket.permits.push(permit),
            None => return Reply::words(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
    let (repo, level) = (shared.repo.clone(), shared.pack_level);
    let prepared = tokio::task::spawn_blocking(move || {
        prepare(open(&repo, &resource, level), &headers, is_head)
    });
    prepared.await.unwrap_or_else(|e| failed(&e))
}

async fn turn(semaphore: &Arc<Semaphore>, patience: Duration) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(patience, semaphore.clone().acquire_owned()).await.ok()?.ok()
}

fn failed(error: &dyn std::error::Error) -> Reply {
    let causes = std::iter::successors(Some(error), |e| e.source());
    let problem = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    Reply { problem: Some(problem), ..Reply::words(StatusCode::INTERNAL_SERVER_ERROR) }
}

/// Makes the answer and reads its first piece: small objects need no second trip.
fn prepare(found: Result<Opened, Unavailable>, headers: &HeaderMap, is_head: bool) -> Reply {
    let opened = match found {
        Ok(opened) => opened,
        Err(Unavailable::Missing) => return Reply::words(StatusCode::NOT_FOUND),
        Err(e) => return failed(&e),
    };
    let len = match &opened.origin {
        Origin::Bytes(bytes) => Some(bytes.len() as u64),
        Origin::File(_, len) => Some(*len),
        Origin::Packed(_) => None,
    };
    // A part is only ever asked for with GET.
    match judge(headers, &opened.validators, len.filter(|_| !is_head)) {
        Verdict::Full => content(opened, len, None, is_head),
        Verdict::Part(range) => content(opened, len, Some(range), is_head),
        Verdict::NotModified => {
            let headers = head_of(&opened, len);
            let (ready, rest, problem) = (Bytes::new(), None, None);
            Reply { status: StatusCode::NOT_MODIFIED, headers, ready, rest, problem }
        }
        Verdict::Failed => Reply::words(StatusCode::PRECONDITION_FAILED),
        Verdict::Unsatisfiable => {
            let mut reply = Reply::words(StatusCode::RANGE_NOT_SATISFIABLE);
            let all = format!("bytes */{}", len.unwrap_or(0));
            set(&mut reply.headers, header::CONTENT_RANGE, &all);
            reply
        }
    }
}

/// The headers that an answer has whether or not the content comes with it.
fn head_of(opened: &Opened, len: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &opened.validators.etag());
    if let Some(modified) = opened.validators.modified.filter(|at| *at >= UNIX_EPOCH) {
        set(&mut headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    }
    let caching = if opened.immutable { IMMUTABLE } else { ASK_AGAIN };
    set(&mut headers, header::CACHE_CONTROL, caching);
    let ranges = if len.is_some() { "bytes" } else { "none" };
    set(&mut headers, header::ACCEPT_RANGES, ranges);
    headers
}

fn content(
    opened: Opened,
    len: Option<u64>,
    range: Option<std::ops::Range<u64>>,
    is_head: bool,
) -> Reply {
    let mut headers = head_of(&opened, len);
    let kind =
        if opened.is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    set(&mut headers, header::CONTENT_TYPE, kind);
    let mut status = StatusCode::OK;
    let mut span = 0..len.unwrap_or(0);
    if let (Some(range), Some(len)) = (range, len) {
        status = StatusCode::PARTIAL_CONTENT;
        let told = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        set(&mut headers, header::CONTENT_RANGE, &told);
        span = range;
    }
    if len.is_some() {
        set(&mut headers, header::CONTENT_LENGTH, &(span.end - span.start).to_string());
    }
    let reply = Reply { status, headers, ready: Bytes::new(), rest: None, problem: None };
    if is_head {
        return reply;
    }
    let source: Box<dyn Source> = match opened.origin {
        Origin::Bytes(bytes) => {
            // Both ends lie within what was judged by its length.
            let ready = bytes.slice(span.start as usize..span.end as usize);
            return Reply { ready, ..reply };
        }
        Origin::File(file, _) => Box::new(FilePart { file, offset: span.start, end: span.end }),
        Origin::Packed(packer) => packer,
    };
    match step(source) {
        Ok((ready, rest)) => Reply { ready, rest, ..reply },
        Err(e) => failed(&e),
    }
}
