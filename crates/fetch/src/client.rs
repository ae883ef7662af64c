use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Identity, Proxy, redirect};

use crate::exchange::chain;
use crate::{FetchSettings, trust};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Windows of HTTP/2 large enough to keep a fast link with some delay busy.
const WINDOW: u32 = 4 << 20;

/// What libcurl takes, but for HTTP/1.0.
const PROXIES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The address of a proxy as libcurl understands it: of HTTP unless it says otherwise, and at
/// port 1080 unless it names one. One of another kind is an error; it must not be passed over.
fn proxy_address(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !PROXIES.contains(&scheme) {
        return Err(format!("proxy: a proxy of the kind '{scheme}' is not supported"));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), authority),
    };
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    match has_port || scheme == "https" {
        true => Ok(format!("{scheme}://{user}{host}")),
        false => Ok(format!("{scheme}://{user}{host}:1080")),
    }
}

/// Clients for plain and for encrypted connections. The certificates of the system are read only
/// where the latter is used.
pub(crate) struct Clients {
    settings: FetchSettings,
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

impl Clients {
    pub fn new(settings: FetchSettings) -> Self {
        Clients { settings, plain: OnceLock::new(), tls: OnceLock::new() }
    }

    pub fn get(&self, scheme: &str) -> Result<&Client, String> {
        // The way to a proxy may be encrypted too.
        let to_proxy = self.settings.proxy.as_ref().is_some_and(|p| p.starts_with("https://"));
        let (cell, tls) = match scheme == "https" || to_proxy {
            true => (&self.tls, true),
            false => (&self.plain, false),
        };
        cell.get_or_init(|| self.build(tls)).as_ref().map_err(Clone::clone)
    }

    fn build(&self, tls: bool) -> Result<Client, String> {
        let settings = &self.settings;
        // Another part of the program may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(&settings.user_agent)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .http2_initial_stream_window_size(WINDOW / 4)
            .http2_initial_connection_window_size(WINDOW);
        if let Some(proxy) = &settings.proxy {
            let address = proxy_address(proxy)?;
            let proxy = Proxy::all(address).map_err(|e| format!("proxy: {}", chain(&e)))?;
            builder = builder.proxy(proxy);
        }
        if !settings.http2 {
            builder = builder.http1_only();
        }
        match tls {
            true => self.with_tls(builder)?,
            false => builder.tls_certs_only([]),
        }
        .build()
        .map_err(|e| chain(&e))
    }

    fn with_tls(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, String> {
        let FetchSettings { tls_ca, tls_client, tls_permissive, http2, .. } = &self.settings;
        let client = tls_client.as_deref();
        if let Some(ca) = tls_ca.as_ref().filter(|_| !tls_permissive) {
            return Ok(builder.tls_backend_preconfigured(trust::config(ca, client, *http2)?));
        }
        if let Some(pem) = client {
            trust::identity(pem)?;
            let identity = Identity::from_pem(pem);
            builder = builder.identity(identity.map_err(|e| chain(&e))?);
        }
        Ok(builder.tls_danger_accept_invalid_certs(*tls_permissive))
    }
}

#[cfg(test)]
mod tests {
    use super::proxy_address;

    /// Guards what libcurl makes of the address of a proxy.
    #[test]
    fn proxies_are_understood_as_by_curl() {
        for (text, expected) in [
            ("proxy", "http://proxy:1080"),
            ("proxy:3128/", "http://proxy:3128"),
            ("http://me:a:b@proxy:80", "http://me:a:b@proxy:80"),
            ("http://me:pass@proxy", "http://me:pass@proxy:1080"),
            ("https://proxy", "https://proxy"),
            ("socks5h://[::1]", "socks5h://[::1]:1080"),
            ("socks4://[::1]:7", "socks4://[::1]:7"),
        ] {
            assert_eq!(proxy_address(text).as_deref(), Ok(expected));
        }
        let error = proxy_address("quic://me:secret@proxy").expect_err("no such proxy");
        assert_eq!(error, "proxy: a proxy of the kind 'quic' is not supported");
    }
}
