use std::time::Duration;

use crate::{CookieJar, Login};

/// Where the files of a remote are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// Below this address.
    Url(String),
    /// Below any of the addresses in the list at this one.
    MirrorList(String),
    /// Where the metalink at this address says the summary is.
    Metalink(String),
}

impl RemoteAddress {
    /// Reads `URL` and `mirrorlist=URL`, as the settings `url` and `contenturl` of a remote
    /// have it.
    pub fn from_setting(text: &str) -> Self {
        match text.strip_prefix("mirrorlist=") {
            Some(url) => RemoteAddress::MirrorList(url.to_string()),
            None => RemoteAddress::Url(text.to_string()),
        }
    }
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// The header `User-Agent`.
    pub user_agent: String,
    /// Further headers, sent to the hosts of the remote only.
    pub headers: Vec<(String, String)>,
    /// How often a request is repeated that failed for a reason that may pass.
    pub retries: u32,
    /// Bytes per second; a transfer that is slower for [`FetchSettings::low_speed_time`] is ended.
    pub low_speed_limit: u64,
    /// See [`FetchSettings::low_speed_limit`].
    pub low_speed_time: Duration,
    /// Most requests at once; by default 8, and 64 once a server speaks HTTP/2.
    pub max_outstanding: Option<usize>,
    /// Whether to speak HTTP/2 with servers that do, over TLS.
    pub http2: bool,
    /// Accepts any certificate.
    pub tls_permissive: bool,
    /// The certificates to trust instead of those of the system, in PEM.
    pub tls_ca: Option<Vec<u8>>,
    /// Our own certificate and its key, in PEM.
    pub tls_client: Option<Vec<u8>>,
    /// The proxy to go through, as `http://[USER:PASSWORD@]HOST:PORT` or with `socks5://`.
    pub proxy: Option<String>,
    /// Cookies to send.
    pub cookies: CookieJar,
    /// Names and passwords by host, for addresses that bring none of their own.
    pub logins: Vec<Login>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        FetchSettings {
            user_agent: concat!("trefoil/", env!("CARGO_PKG_VERSION")).to_string(),
            headers: Vec::new(),
            retries: 5,
            low_speed_limit: 1000,
            low_speed_time: Duration::from_secs(30),
            max_outstanding: None,
            http2: true,
            tls_permissive: false,
            tls_ca: None,
            tls_client: None,
            proxy: None,
            cookies: CookieJar::default(),
            logins: Vec::new(),
        }
    }
}
