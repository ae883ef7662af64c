//! Conditional requests and ranges (RFC 9110, sections 13 and 14).

use std::ops::Range;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

/// What tells one state of a resource from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// The opaque part of the tag, without quotes.
    pub tag: String,
    /// Whether equal tags promise equal bytes.
    pub strong: bool,
    /// When it was last changed, in whole seconds.
    pub modified: Option<SystemTime>,
}

impl Validators {
    /// The value of the header `ETag`.
    pub fn etag(&self) -> String {
        format!("{}\"{}\"", if self.strong { "" } else { "W/" }, self.tag)
    }
}

/// What a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it.
    Full,
    /// These bytes of it.
    Part(Range<u64>),
    /// It has it already.
    NotModified,
    /// It asked for another state than there is.
    Failed,
    /// It asked for bytes beyond the end.
    Unsatisfiable,
}

/// Judges a `GET` or `HEAD`; `len` is `None` where no part can be had. Headers that make no
/// sense are ignored, as the standard asks.
pub(crate) fn judge(headers: &HeaderMap, now: &Validators, len: Option<u64>) -> Verdict {
    if let Some(tags) = text(headers, &IF_MATCH) {
        if !matches(tags, now, true) {
            return Verdict::Failed;
        }
    } else if let Some(since) = date(headers, &IF_UNMODIFIED_SINCE)
        && now.modified.is_some_and(|modified| modified > since)
    {
        return Verdict::Failed;
    }
    if let Some(tags) = text(headers, &IF_NONE_MATCH) {
        if matches(tags, now, false) {
            return Verdict::NotModified;
        }
    } else if let Some(since) = date(headers, &IF_MODIFIED_SINCE)
        && now.modified.is_some_and(|modified| modified <= since)
    {
        return Verdict::NotModified;
    }
    match (text(headers, &RANGE), len) {
        (Some(range), Some(len)) if range_holds(headers, now) => part(range, len),
        _ => Verdict::Full,
    }
}

/// Cuts a time to the whole seconds that HTTP can tell; times before 1970 are 1970.
pub(crate) fn whole_seconds(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.max(0).unsigned_abs())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

/// Whether `*` or one tag of the list is ours. Our tags hold no comma.
fn matches(list: &str, now: &Validators, strong: bool) -> bool {
    let is_ours = |tag: &str| match tag.strip_prefix("W/") {
        Some(weak) => !strong && is_quoted(weak, &now.tag),
        None => (now.strong || !strong) && is_quoted(tag, &now.tag),
    };
    list == "*" || list.split(',').map(str::trim).any(is_ours)
}

fn is_quoted(text: &str, tag: &str) -> bool {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) == Some(tag)
}

/// `If-Range` compares strongly; a date has to be the very one we gave, and is only as good as
/// whole seconds are.
fn range_holds(headers: &HeaderMap, now: &Validators) -> bool {
    match text(headers, &IF_RANGE) {
        None => !headers.contains_key(IF_RANGE),
        Some(tag) if tag.starts_with('"') || tag.starts_with("W/") => matches(tag, now, true),
        Some(_) => date(headers, &IF_RANGE).is_some_and(|date| now.modified == Some(date)),
    }
}

/// One range of bytes. Several at once are answered with everything, which is allowed.
fn part(range: &str, len: u64) -> Verdict {
    let Some((unit, spec)) = range.split_once('=') else { return Verdict::Full };
    let Some((first, last)) = spec.trim().split_once('-') else { return Verdict::Full };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Verdict::Full;
    }
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Verdict::Full };
    let range = match (first, last) {
        (None, None) => return Verdict::Full,
        (Some(first), Some(last)) if last < first => return Verdict::Full,
        (Some(first), last) => first..last.map_or(len, |last| last.saturating_add(1).min(len)),
        (None, Some(count)) => len.saturating_sub(count)..len,
    };
    if range.start < range.end { Verdict::Part(range) } else { Verdict::Unsatisfiable }
}

/// `Some(None)` for nothing, `None` for what is no number. A number too large is the largest.
fn number(text: &str) -> Option<Option<u64>> {
    match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{HeaderName, HeaderValue};

    use super::{Validators, Verdict, judge, whole_seconds};

    fn verdict(
        len: Option<u64>,
        strong: bool,
        headers: &[(&'static str, &'static str)],
    ) -> Verdict {
        let map: HeaderMap = headers
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect();
        let modified = Some(whole_seconds(1_000_000_000));
        judge(&map, &Validators { tag: "abc".to_string(), strong, modified }, len)
    }

    const AT: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

    /// Guards the forms a range can have, and that nonsense means "no range".
    #[test]
    fn ranges() {
        let of = |range| verdict(Some(100), true, &[("range", range)]);
        assert_eq!(of("bytes=0-0"), Verdict::Part(0..1));
        assert_eq!(of("bytes=10-"), Verdict::Part(10..100));
        assert_eq!(of("bytes=-10"), Verdict::Part(90..100));
        assert_eq!(of("bytes=-1000"), Verdict::Part(0..100));
        assert_eq!(of("bytes=90-99999999999999999999999"), Verdict::Part(90..100));
        assert_eq!(of("bytes=99-18446744073709551615"), Verdict::Part(99..100));
        for beyond in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"]
        {
            assert_eq!(of(beyond), Verdict::Unsatisfiable, "{beyond}");
        }
        for nonsense in
            ["bytes=5-4", "bytes=-", "bytes=", "bytes", "lines=1-2", "bytes=1-2,4-5", "bytes=+1-2"]
        {
            assert_eq!(of(nonsense), Verdict::Full, "{nonsense}");
        }
        assert_eq!(verdict(Some(0), true, &[("range", "bytes=0-")]), Verdict::Unsatisfiable);
        assert_eq!(verdict(None, true, &[("range", "bytes=0-1")]), Verdict::Full);
    }

    /// Guards which condition wins, and weak against strong comparison.
    #[test]
    fn conditions() {
        let of = |headers: &[(&'static str, &'static str)]| verdict(Some(100), true, headers);
        assert_eq!(of(&[("if-none-match", "\"abc\"")]), Verdict::NotModified);
        assert_eq!(of(&[("if-none-match", "\"x\", W/\"abc\"")]), Verdict::NotModified);
        assert_eq!(of(&[("if-none-match", "*")]), Verdict::NotModified);
        assert_eq!(of(&[("if-none-match", "abc")]), Verdict::Full);
        // The tag decides, not the date.
        assert_eq!(of(&[("if-none-match", "\"x\""), ("if-modified-since", AT)]), Verdict::Full);
        assert_eq!(of(&[("if-modified-since", AT)]), Verdict::NotModified);
        assert_eq!(of(&[("if-modified-since", BEFORE)]), Verdict::Full);
        assert_eq!(of(&[("if-modified-since", "yesterday")]), Verdict::Full);
        assert_eq!(of(&[("if-match", "\"x\"")]), Verdict::Failed);
        assert_eq!(of(&[("if-match", "W/\"abc\"")]), Verdict::Failed);
        assert_eq!(of(&[("if-match", "\"abc\"")]), Verdict::Full);
        assert_eq!(of(&[("if-unmodified-since", BEFORE)]), Verdict::Failed);
        let range = ("range", "bytes=1-2");
        assert_eq!(of(&[range, ("if-range", "\"abc\"")]), Verdict::Part(1..3));
        assert_eq!(of(&[range, ("if-range", "\"x\"")]), Verdict::Full);
        assert_eq!(of(&[range, ("if-range", "W/\"abc\"")]), Verdict::Full);
        assert_eq!(of(&[range, ("if-range", AT)]), Verdict::Part(1..3));
        assert_eq!(of(&[range, ("if-range", BEFORE)]), Verdict::Full);
        assert_eq!(verdict(Some(9), false, &[range, ("if-range", "\"abc\"")]), Verdict::Full);
    }
}
