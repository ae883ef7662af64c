//! From the settings of a remote, the options of a verb and the environment to how to fetch.

use std::path::Path;
use std::time::Duration;

use trefoil_fetch::{CookieJar, FetchSettings, Login, RemoteAddress, parse_netrc};
use trefoil_repo::Repo;
use trefoil_repo::remote::Remote;

use super::RemotePull;
use crate::error::{CliError, Result};
use crate::{dates, environment, user_files, version};

const COOKIES_LIMIT: u64 = 1 << 20;
/// How a path of libostree names something in a PKCS#11 token.
const TOKEN: &str = "pkcs11:";

impl RemotePull<'_> {
    pub(super) fn settings(&self, main: &RemoteAddress) -> Result<FetchSettings> {
        let (remote, http) = (self.remote, self.http);
        let usual = FetchSettings::default();
        let number = |value: Option<i64>| value.and_then(|n| u64::try_from(n).ok());
        let mut user_agent = format!("libostree/{}", version::FOLLOWED);
        if let Some(more) = &http.append_user_agent {
            user_agent.push_str(&format!(" {more}"));
        }
        let retries = match http.disable_retry_on_network_errors {
            true => 0,
            false => number(http.network_retries).map_or(usual.retries, |n| n as u32),
        };
        let time = number(http.low_speed_time_seconds).map(|s| Duration::from_secs(s.max(1)));
        Ok(FetchSettings {
            user_agent,
            headers: http.http_header.iter().map(|h| header(h)).collect::<Result<_>>()?,
            retries,
            low_speed_limit: number(http.low_speed_limit_bytes).unwrap_or(usual.low_speed_limit),
            low_speed_time: time.unwrap_or(usual.low_speed_time),
            max_outstanding: number(http.max_outstanding_fetcher_requests).map(|n| n as usize),
            http2: remote.flag("http2") != Some(false),
            tls_permissive: remote.flag("tls-permissive") == Some(true),
            tls_ca: remote.option("tls-ca-path").map(|path| read_key(&path)).transpose()?,
            tls_client: tls_client(remote)?,
            proxy: proxy(remote, main),
            cookies: cookies(&self.place.repo, &remote.name)?.until(dates::now()),
            logins: logins(),
        })
    }
}

fn header(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| CliError::failed(format!("Missing '=' in --http-header: '{text}'")))?;
    Ok((name.to_string(), value.to_string()))
}

fn read_key(path: &str) -> Result<Vec<u8>> {
    user_files::read_bytes(Path::new(path))
}

/// Certificate and key, one behind the other.
fn tls_client(remote: &Remote) -> Result<Option<Vec<u8>>> {
    let paths = (remote.option("tls-client-cert-path"), remote.option("tls-client-key-path"));
    match paths {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            if let Some(path) = [&cert, &key].into_iter().find(|path| path.starts_with(TOKEN)) {
                return Err(CliError::Advised(
                    format!(
                        "Remote \"{}\": PKCS#11 tokens are not supported ({path})",
                        remote.name
                    ),
                    "name files in PEM as \"tls-client-cert-path\" and \"tls-client-key-path\"",
                ));
            }
            let mut pem = read_key(&cert)?;
            // One file may have both.
            if key != cert {
                pem.push(b'\n');
                pem.extend(read_key(&key)?);
            }
            Ok(Some(pem))
        }
        _ => Err(CliError::failed(format!(
            "Remote \"{}\" must specify both \"tls-client-cert-path\" and \"tls-client-key-path\"",
            remote.name
        ))),
    }
}

/// The proxy of the remote, else that of the environment, as curl looks for it.
fn proxy(remote: &Remote, main: &RemoteAddress) -> Option<String> {
    if let Some(proxy) = remote.option("proxy") {
        return Some(proxy).filter(|proxy| !proxy.is_empty());
    }
    let (RemoteAddress::Url(url) | RemoteAddress::MirrorList(url) | RemoteAddress::Metalink(url)) =
        main;
    let host = host_of(url)?;
    let none = environment::text("no_proxy").or_else(|| environment::text("NO_PROXY"));
    let direct = none.unwrap_or_default().split(',').map(str::trim).any(|name| {
        let name = name.trim_start_matches('.');
        name == "*"
            || (!name.is_empty()
                && host.strip_suffix(name).is_some_and(|r| r.is_empty() || r.ends_with('.')))
    });
    if direct {
        return None;
    }
    let names: &[&str] = match url.starts_with("https://") {
        true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        // The name in capitals could be set by a request to a CGI program.
        false => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    names.iter().find_map(|name| environment::text(name)).filter(|proxy| !proxy.is_empty())
}

/// The host of an address, which may have a name and a password before it and a port behind it.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split("://").nth(1)?.split('/').next()?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(host) => host.split(']').next(),
        None => host.split(':').next(),
    }
}

/// The cookies that are kept for a remote.
pub fn cookies(repo: &Repo, remote: &str) -> Result<CookieJar> {
    let bytes = repo.dir().read_opt(format!("{remote}.cookies.txt"), COOKIES_LIMIT)?;
    Ok(CookieJar::parse(&String::from_utf8_lossy(&bytes.unwrap_or_default())))
}

/// What the user's `.netrc` holds; nothing where it cannot be read.
fn logins() -> Vec<Login> {
    let path = environment::path("NETRC")
        .or_else(|| environment::path("HOME").map(|home| home.join(".netrc")));
    let text = path.and_then(|path| user_files::read(&path).ok());
    text.map(|text| parse_netrc(&text)).unwrap_or_default()
}
