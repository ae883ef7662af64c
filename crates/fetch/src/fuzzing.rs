//! Doors for the fuzz targets of `crates/trust` to what remotes say.

use crate::metalink::Metalink;
use crate::{httpdate, mirrors};

/// The addresses in a metalink; `None` where it is none. Whether they are to be believed is
/// asked too.
pub fn metalink(text: &str) -> Option<Vec<String>> {
    let metalink = Metalink::parse(text).ok()?;
    let _ = metalink.verify(text.as_bytes());
    Some(metalink.urls.iter().map(ToString::to_string).collect())
}

/// The addresses in a list of mirrors.
pub fn mirrors(text: &str) -> Vec<String> {
    mirrors::parse_list(text).iter().map(ToString::to_string).collect()
}

/// A time as HTTP writes it, in seconds since 1970.
pub fn http_date(text: &str) -> Option<u64> {
    httpdate::parse(text)
}
