use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use trefoil_repo::pull::transport::{FetchError, FetchProblem};

use crate::client::Clients;
use crate::exchange::{extra_headers, network};
use crate::mirrors::{below, parse_base, shown};
use crate::{FetchSettings, Login};

/// Asks the host of a remote small questions, and tells it things: one at a time, each on the
/// connection of the one before where that is still open.
///
/// Nothing is repeated and no redirect is followed: who asks again and again decides how often.
pub struct Caller {
    base: Url,
    settings: FetchSettings,
    clients: Clients,
    runtime: Runtime,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("base", &shown(&self.base)).finish_non_exhaustive()
    }
}

impl Caller {
    /// A caller of the host at `base`. Nothing is sent yet.
    ///
    /// # Errors
    /// An address that is none of HTTP; no thread to be had.
    pub fn new(settings: FetchSettings, base: &str) -> Result<Caller, FetchError> {
        let base = parse_base(base)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| {
            let problem = FetchProblem::Network(format!("starting the network: {e}"));
            FetchError { url: shown(&base), problem }
        })?;
        let clients = Clients::new(settings.clone());
        Ok(Caller { base, settings, clients, runtime })
    }

    /// The address, without what is secret in it.
    pub fn address(&self) -> String {
        shown(&self.base)
    }

    /// Asks with `GET` and gives the content of the answer, at most `limit` bytes of it, which
    /// has to be there within `patience`.
    pub fn ask(
        &self,
        path: &str,
        query: &[(&str, &str)],
        patience: Duration,
        limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let mut url = below(&self.base, path);
        url.query_pairs_mut().extend_pairs(query);
        self.call(&url, patience, async |url| {
            let mut response = self.send(url, |client| client.get(url.clone())).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|e| network(&e))? {
                bytes.extend_from_slice(&piece);
                if bytes.len() > limit {
                    return Err(FetchProblem::TooLarge { limit: limit as u64 });
                }
            }
            Ok(bytes)
        })
    }

    /// Tells something with `POST`: a document of JSON. The content of the answer is not read.
    pub fn tell(&self, path: &str, json: Vec<u8>, patience: Duration) -> Result<(), FetchError> {
        let url = below(&self.base, path);
        self.call(&url, patience, async |url| {
            let post = |client: &reqwest::Client| {
                let json_type = HeaderValue::from_static("application/json");
                client.post(url.clone()).header(CONTENT_TYPE, json_type).body(json)
            };
            self.send(url, post).await.map(drop)
        })
    }

    fn call<T>(
        &self,
        url: &Url,
        patience: Duration,
        call: impl AsyncFnOnce(&Url) -> Result<T, FetchProblem>,
    ) -> Result<T, FetchError> {
        let called = self.runtime.block_on(async { timeout(patience, call(url)).await });
        let slow = || FetchProblem::Slow(format!("no answer within {} s", patience.as_secs()));
        called
            .unwrap_or_else(|_| Err(slow()))
            .map_err(|problem| FetchError { url: shown(url), problem })
    }

    async fn send(
        &self,
        url: &Url,
        request: impl FnOnce(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, FetchProblem> {
        let client = self.clients.get(url.scheme()).map_err(FetchProblem::Refused)?;
        let mut request = request(client).headers(extra_headers(&self.settings.headers)?);
        let host = url.host_str().unwrap_or_default();
        if url.username().is_empty()
            && let Some(login) = Login::find(&self.settings.logins, host)
        {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        if let Some(cookies) = self.settings.cookies.header(url) {
            request = request.header(COOKIE, cookies);
        }
        let response = request.send().await.map_err(|e| network(&e))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(FetchProblem::Status(status.as_u16())),
        }
    }
}
