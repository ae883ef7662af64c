//! Doors for the fuzz targets of `crates/trust` to what reads a request.

use std::ops::Range;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::conditional::{Validators, Verdict, judge, whole_seconds};
use crate::follow;

/// Whether the query of a request for `/trefoil/follow` is understood.
pub fn is_question(query: &str) -> bool {
    follow::is_question(query)
}

/// The bytes that a request with these headers gets of a resource of `len` bytes; `None` where
/// the answer has no content. Headers that HTTP does not have are left out.
pub fn range<'h>(
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    len: u64,
    strong: bool,
) -> Option<Range<u64>> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    let modified = Some(whole_seconds(1_000_000_000));
    let now = Validators { tag: "tag".to_string(), strong, modified };
    match judge(&map, &now, Some(len)) {
        Verdict::Full => Some(0..len),
        Verdict::Part(range) => Some(range),
        Verdict::NotModified | Verdict::Failed | Verdict::Unsatisfiable => None,
    }
}
