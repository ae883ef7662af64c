use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, redirect};

use crate::FetchSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Windows of HTTP/2 large enough to keep a fast link with some delay busy.
const WINDOW: u32 = 4 << 20;

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
        let (cell, tls) = match scheme {
            "https" => (&self.tls, true),
            _ => (&self.plain, false),
        };
        let made = cell.get_or_init(|| self.build(tls).map_err(|e| crate::exchange::chain(&e)));
        made.as_ref().map_err(Clone::clone)
    }

    fn build(&self, tls: bool) -> reqwest::Result<Client> {
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
            builder = builder.proxy(Proxy::all(proxy)?);
        }
        if !settings.http2 {
            builder = builder.http1_only();
        }
        match tls {
            true => self.with_tls(builder)?.build(),
            false => builder.tls_certs_only([]).build(),
        }
    }

    fn with_tls(&self, mut builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        if let Some(pem) = &self.settings.tls_ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem)?);
        }
        if let Some(pem) = &self.settings.tls_client {
            builder = builder.identity(Identity::from_pem(pem)?);
        }
        Ok(builder.tls_danger_accept_invalid_certs(self.settings.tls_permissive))
    }
}
