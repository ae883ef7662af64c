//! Fetching the files of an OSTree remote over HTTP/1.1 and HTTP/2.
//!
//! An [`HttpTransport`] has many requests under way on one thread. It repeats what failed for a
//! reason that may pass, goes on in the middle of a file where a transfer broke off, falls over to
//! the next mirror, and refuses what is larger or slower than it may be. Files up to a mebibyte
//! are handed over whole, larger ones as streams that wait for their reader, so its memory is
//! bounded whatever the server sends. A [`Caller`] asks the same host small questions.
//!
//! What this crate never does: touch the file system, know what an object is, print, read the
//! environment or the clock of the day.

mod body;
mod caller;
mod client;
mod cookies;
mod exchange;
#[doc(hidden)]
pub mod fuzzing;
mod httpdate;
mod metalink;
mod mirrors;
mod netrc;
mod settings;
mod transport;
mod trust;

pub use caller::Caller;
pub use cookies::{Cookie, CookieJar};
pub use netrc::{Login, parse_netrc};
pub use settings::{FetchSettings, RemoteAddress};
pub use transport::HttpTransport;
