//! One file from one address: redirects, and going on where a transfer broke off.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_RANGE, COOKIE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
};
use reqwest::{Response, StatusCode, Url, Version};
use tokio::time::timeout;
use trefoil_repo::pull::transport::{FetchProblem, Validators};

use crate::mirrors::shown;
use crate::transport::Shared;
use crate::{Login, httpdate};

const MOST_REDIRECTS: usize = 10;

type Outcome<T> = Result<T, FetchProblem>;

/// A response whose content is being read.
pub(crate) struct Exchange<'a> {
    shared: &'a Shared,
    /// That of the remote, wherever it led.
    url: Url,
    response: Response,
    limit: u64,
    received: u64,
    /// How often the transfer may still be taken up again.
    retries: u32,
    pace: Pace,
    /// What the server said about this version of the file.
    pub validators: Validators,
}

/// What came of the first part of a request.
pub(crate) enum Opened<'a> {
    Body(Box<Exchange<'a>>),
    NotModified,
}

impl<'a> Exchange<'a> {
    /// Asks for the file at `url` and waits for the head of the answer.
    pub async fn open(
        shared: &'a Shared,
        url: &Url,
        limit: u64,
        known: Option<&Validators>,
    ) -> Outcome<Opened<'a>> {
        let mut headers = HeaderMap::new();
        if let Some(known) = known {
            if let Some(etag) = known.etag.as_deref().and_then(|e| HeaderValue::from_str(e).ok()) {
                headers.insert(IF_NONE_MATCH, etag);
            }
            if let Some(time) = known.last_modified.map(httpdate::format) {
                headers.extend(HeaderValue::from_str(&time).map(|t| (IF_MODIFIED_SINCE, t)));
            }
        }
        let conditional = !headers.is_empty();
        let response = send(shared, url, headers).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if conditional => return Ok(Opened::NotModified),
            status => return Err(FetchProblem::Status(status.as_u16())),
        }
        if response.content_length().is_some_and(|len| len > limit) {
            return Err(FetchProblem::TooLarge { limit });
        }
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        let validators = Validators {
            etag: header(ETAG).map(str::to_string),
            last_modified: header(LAST_MODIFIED).and_then(httpdate::parse),
        };
        let pace = Pace::new(shared);
        let retries = shared.settings.retries;
        let exchange = Exchange {
            shared,
            url: url.clone(),
            response,
            limit,
            received: 0,
            retries,
            pace,
            validators,
        };
        Ok(Opened::Body(Box::new(exchange)))
    }

    /// The next piece of the content, `None` at its end.
    pub async fn next(&mut self) -> Outcome<Option<Bytes>> {
        loop {
            match self.pace.wait(self.response.chunk()).await {
                Ok(Some(piece)) => {
                    self.received += piece.len() as u64;
                    self.shared.count_bytes(piece.len() as u64);
                    if self.received > self.limit {
                        return Err(FetchProblem::TooLarge { limit: self.limit });
                    }
                    return Ok(Some(piece));
                }
                Ok(None) => return Ok(None),
                Err(problem) if self.received == 0 || self.retries == 0 => return Err(problem),
                Err(problem) => {
                    self.retries -= 1;
                    self.take_up_again(problem).await?;
                }
            }
        }
    }

    /// Asks for the rest of a file whose transfer broke off. The server has to have the same
    /// version still.
    async fn take_up_again(&mut self, problem: FetchProblem) -> Outcome<()> {
        let etag = self.validators.etag.clone().filter(|etag| !etag.starts_with("W/"));
        let date = self.validators.last_modified.map(httpdate::format);
        let same = etag.or(date).and_then(|v| HeaderValue::from_str(&v).ok());
        let (Some(same), Ok(range)) =
            (same, HeaderValue::from_str(&format!("bytes={}-", self.received)))
        else {
            return Err(problem);
        };
        let headers = HeaderMap::from_iter([(RANGE, range), (IF_RANGE, same)]);
        let response = send(self.shared, &self.url, headers).await?;
        let starts = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok());
        let wanted = format!("bytes {}-", self.received);
        if response.status() != StatusCode::PARTIAL_CONTENT
            || !starts.is_some_and(|range| range.starts_with(&wanted))
        {
            return Err(problem);
        }
        self.response = response;
        self.pace = Pace::new(self.shared);
        Ok(())
    }
}

/// Sends a request and follows redirects. What is secret goes to the host of the remote only.
async fn send(shared: &Shared, url: &Url, headers: HeaderMap) -> Outcome<Response> {
    let mut at = url.clone();
    for _ in 0..=MOST_REDIRECTS {
        let client = shared.clients.get(at.scheme()).map_err(FetchProblem::Refused)?;
        let same_host = at.host_str() == url.host_str()
            && at.port_or_known_default() == url.port_or_known_default();
        if same_host && at.username().is_empty() {
            // A redirect that names the host again does not name who asks. Only an address
            // without a host refuses.
            let _ = at.set_username(url.username());
            let _ = at.set_password(url.password());
        }
        let mut request = client.get(at.clone()).headers(headers.clone());
        if same_host {
            request = request.headers(extra_headers(&shared.settings.headers)?);
            let host = at.host_str().unwrap_or_default();
            if at.username().is_empty()
                && let Some(login) = Login::find(&shared.settings.logins, host)
            {
                request = request.basic_auth(&login.user, Some(&login.password));
            }
        }
        if let Some(cookies) = shared.settings.cookies.header(&at) {
            request = request.header(COOKIE, cookies);
        }
        shared.count_request();
        let wait = shared.settings.low_speed_time;
        let response = match timeout(wait, request.send()).await {
            Ok(sent) => sent.map_err(|e| network(&e))?,
            Err(_) => {
                return Err(FetchProblem::Slow(format!("no answer within {} s", wait.as_secs())));
            }
        };
        shared.note_version(response.version() == Version::HTTP_2);
        if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        at = target(&at, &response)?;
    }
    let last = shown(&at);
    Err(FetchProblem::Refused(format!("more than {MOST_REDIRECTS} redirects, the last to {last}")))
}

/// Where a redirect leads: over HTTP still, and not from an encrypted connection to a plain one.
fn target(from: &Url, response: &Response) -> Outcome<Url> {
    let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
    let Some(location) = location else {
        return Err(FetchProblem::Status(response.status().as_u16()));
    };
    let to = from
        .join(location)
        .map_err(|_| FetchProblem::Refused(format!("redirected to '{location}'")))?;
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        (_, scheme) => Err(FetchProblem::Refused(format!(
            "redirected to scheme '{scheme}', which is not followed from {}",
            from.scheme()
        ))),
    }
}

pub(crate) fn extra_headers(wanted: &[(String, String)]) -> Outcome<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        let bad = |_| FetchProblem::Refused(format!("'{name}: {value}' is no HTTP header"));
        let key: HeaderName = name.parse().map_err(|_| bad(()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad(()))?;
        value.set_sensitive(key == AUTHORIZATION);
        headers.append(key, value);
    }
    Ok(headers)
}

/// How fast a transfer is: only the time counts in which we wait for the server.
struct Pace {
    limit: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(shared: &Shared) -> Self {
        Pace {
            limit: shared.settings.low_speed_limit,
            window: shared.settings.low_speed_time,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    async fn wait(
        &mut self,
        chunk: impl Future<Output = reqwest::Result<Option<Bytes>>>,
    ) -> Outcome<Option<Bytes>> {
        let started = Instant::now();
        let slow = |limit, window: Duration| {
            FetchProblem::Slow(format!(
                "Operation too slow. Less than {limit} bytes/sec transferred the last {} seconds",
                window.as_secs()
            ))
        };
        let piece = match timeout(self.window, chunk).await {
            Ok(piece) => piece.map_err(|e| broken(&e))?,
            Err(_) => return Err(slow(self.limit, self.window)),
        };
        self.waited += started.elapsed();
        self.bytes += piece.as_ref().map_or(0, |p| p.len() as u64);
        if self.waited >= self.window {
            if (self.bytes as f64) < self.limit as f64 * self.waited.as_secs_f64() {
                return Err(slow(self.limit, self.window));
            }
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
        Ok(piece)
    }
}

fn broken(error: &reqwest::Error) -> FetchProblem {
    FetchProblem::Incomplete(chain(error))
}

pub(crate) fn network(error: &reqwest::Error) -> FetchProblem {
    let text = chain(error);
    // What will not be better the next time: their certificate, or that they do not like ours.
    let refused = ["certificate", "Certificate", "UnknownCA", "proxy authorization required"];
    match refused.iter().any(|word| text.contains(word)) || error.is_builder() {
        true => FetchProblem::Refused(text),
        false => FetchProblem::Network(text),
    }
}

/// An error and its causes; the address is told by others.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut parts = Vec::new();
    let mut next: Option<&dyn Error> = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        next = cause.source();
    }
    match parts.is_empty() {
        true if error.is_builder() => "cannot be built into a request".to_string(),
        true => "request failed".to_string(),
        false => parts.join(": "),
    }
}
