use std::fmt;

use reqwest::Url;

/// Marks a cookie that scripts in browsers do not see; the rest of the line is as usual.
const HTTP_ONLY: &str = "#HttpOnly_";

/// A cookie, as a line of a file in the format of Netscape has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The host it is for, with those below it where it begins with a dot.
    pub domain: String,
    /// Whether hosts below the domain get it too.
    pub subdomains: bool,
    /// The beginning of the paths it is for.
    pub path: String,
    /// Sent over TLS only.
    pub secure: bool,
    /// When it ends, in seconds since 1970; 0 is never.
    pub expires: i64,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub value: String,
}

impl Cookie {
    fn parse(line: &str) -> Option<Cookie> {
        let line = line.strip_prefix(HTTP_ONLY).unwrap_or(line);
        if line.starts_with('#') {
            return None;
        }
        let fields: Vec<&str> = line.trim_end_matches(['\r', '\n']).split('\t').collect();
        let [domain, subdomains, path, secure, expires, name, value] = fields[..] else {
            return None;
        };
        Some(Cookie {
            domain: domain.to_string(),
            subdomains: subdomains == "TRUE",
            path: path.to_string(),
            secure: secure == "TRUE",
            expires: expires.parse().ok()?,
            name: name.to_string(),
            value: value.to_string(),
        })
    }

    fn is_for(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let domain = self.domain.trim_start_matches('.');
        let below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let path = self.path.trim_end_matches('/');
        let inside = url
            .path()
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (host == domain || (self.subdomains && below))
            && inside
            && (!self.secure || url.scheme() == "https")
    }
}

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |on| if on { "TRUE" } else { "FALSE" };
        write!(
            f,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            self.domain,
            word(self.subdomains),
            self.path,
            word(self.secure),
            self.expires,
            self.name,
            self.value
        )
    }
}

/// The cookies of a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieJar(pub Vec<Cookie>);

impl CookieJar {
    /// Reads a file in the format of Netscape; lines that are no cookies are passed over.
    pub fn parse(text: &str) -> Self {
        CookieJar(text.lines().filter_map(Cookie::parse).collect())
    }

    /// Those that have not ended at `now`, in seconds since 1970.
    pub fn until(mut self, now: u64) -> Self {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.0.retain(|cookie| cookie.expires == 0 || cookie.expires > now);
        self
    }

    /// The value of the header `Cookie` for a request to `url`, `None` where there is no cookie
    /// for it.
    pub(crate) fn header(&self, url: &Url) -> Option<String> {
        let fitting: Vec<String> = self
            .0
            .iter()
            .filter(|cookie| cookie.is_for(url))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!fitting.is_empty()).then(|| fitting.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards what a server is not told: cookies of other hosts, paths and of TLS.
    #[test]
    fn cookies_go_where_they_belong() {
        let jar = CookieJar::parse(
            "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tfoo\tbar\n\
             .example.com\tTRUE\t/repo\tFALSE\t0\ta\t1\n#HttpOnly_example.com\tFALSE\t/\tTRUE\t0\tb\t2\n\
             broken\tline\n",
        );
        let header = |url: &str| jar.header(&url.parse().expect("an address"));
        assert_eq!(header("http://127.0.0.1:80/x").as_deref(), Some("foo=bar"));
        assert_eq!(header("http://cdn.example.com/repo/summary").as_deref(), Some("a=1"));
        assert_eq!(header("https://example.com/repo").as_deref(), Some("a=1; b=2"));
        assert_eq!(header("http://example.com/repository"), None);
        assert_eq!(header("http://badexample.com/repo"), None);
        assert_eq!(CookieJar::parse(&jar.0[0].to_string()).0, jar.0[..1]);
    }
}
