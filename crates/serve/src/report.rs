//! What a machine that follows a ref tells of it. The protocol is in the documentation of the
//! crate.

use std::fmt;
use std::sync::Arc;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use trefoil_format::checksum::Checksum;
use trefoil_format::name::RefName;

use crate::respond::{Reply, set};

/// Longest name of a machine, in bytes.
const MACHINE_LIMIT: usize = 64;
/// Longest text of an error, in bytes.
const ERROR_LIMIT: usize = 4096;

/// What came of a commit on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The ref that is followed.
    #[serde(rename = "ref")]
    pub name: String,
    /// The commit, in hexadecimal digits.
    pub commit: String,
    /// What the machine calls itself.
    pub machine: String,
    /// How far it is.
    pub state: State,
    /// What it does to have the commit run.
    pub apply: Apply,
    /// Milliseconds from hearing of the commit until all of it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled_ms: Option<u64>,
    /// Milliseconds from there until the next boot would be of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed_ms: Option<u64>,
    /// Milliseconds from the start of the kernel until this report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_ms: Option<u64>,
    /// Why it went no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far a machine is with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The next boot is of it.
    Deployed,
    /// It runs.
    Booted,
    /// It could not be pulled or deployed; the machine tries again.
    Failed,
}

/// What a machine does once a commit is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Apply {
    /// It reboots.
    Reboot,
    /// It starts all but the kernel anew.
    SoftReboot,
    /// It goes on as it is.
    #[default]
    None,
}

impl Apply {
    /// The word for it, as in a report.
    pub const fn word(self) -> &'static str {
        match self {
            Apply::Reboot => "reboot",
            Apply::SoftReboot => "soft-reboot",
            Apply::None => "none",
        }
    }
}

impl Report {
    /// Longest report, in bytes.
    pub const LIMIT: usize = 16 * 1024;

    /// Reads a report; `None` where it is none. Parts with other names are left for later
    /// versions.
    pub fn parse(bytes: &[u8]) -> Option<Report> {
        if bytes.len() > Report::LIMIT {
            return None;
        }
        let report: Report = serde_json::from_slice(bytes).ok()?;
        let named = !report.machine.is_empty() && !report.machine.chars().any(char::is_control);
        let fine = named
            && report.machine.len() <= MACHINE_LIMIT
            && RefName::new(&report.name).is_ok()
            && Checksum::from_hex(&report.commit).is_ok()
            && report.error.as_ref().is_none_or(|error| error.len() <= ERROR_LIMIT);
        fine.then_some(report)
    }

    /// The bytes to send, cut to what is read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut report = self.clone();
        report.machine.retain(|c| !c.is_control());
        cut(&mut report.machine, MACHINE_LIMIT);
        if report.machine.is_empty() {
            report.machine.push('?');
        }
        if let Some(error) = &mut report.error {
            cut(error, ERROR_LIMIT / 2);
        }
        serde_json::to_vec(&report).expect("strings and numbers are JSON")
    }
}

fn cut(text: &mut String, limit: usize) {
    let at = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(at.unwrap_or(0));
}

/// Who is told of reports.
#[derive(Clone)]
pub(crate) struct Hearer(Arc<dyn Fn(Report) + Send + Sync>);

impl Hearer {
    pub fn new(hear: impl Fn(Report) + Send + Sync + 'static) -> Hearer {
        Hearer(Arc::new(hear))
    }

    /// Takes a report from a request.
    pub async fn answer(&self, method: &Method, headers: &HeaderMap, body: Incoming) -> Reply {
        if method != Method::POST {
            let mut reply = Reply::words(StatusCode::METHOD_NOT_ALLOWED);
            set(&mut reply.headers, header::ALLOW, "POST");
            return reply;
        }
        // No page in a browser can send this type to another site unasked.
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_none_or(|kind| !kind.eq_ignore_ascii_case("application/json")) {
            return Reply::words(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        match Limited::new(body, Report::LIMIT).collect().await {
            Err(e) if e.is::<LengthLimitError>() => Reply::words(StatusCode::PAYLOAD_TOO_LARGE),
            Err(_) => Reply::words(StatusCode::BAD_REQUEST),
            Ok(bytes) => match Report::parse(&bytes.to_bytes()) {
                None => Reply::words(StatusCode::BAD_REQUEST),
                Some(report) => {
                    (self.0)(report);
                    Reply::nothing()
                }
            },
        }
    }
}

impl fmt::Debug for Hearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hearer")
    }
}

#[cfg(test)]
mod tests {
    use super::{Apply, Report, State};

    fn report() -> Report {
        Report {
            name: "os/main".to_string(),
            commit: "a".repeat(64),
            machine: "vm".to_string(),
            state: State::Failed,
            apply: Apply::SoftReboot,
            pulled_ms: Some(12),
            deployed_ms: None,
            booted_ms: None,
            error: Some("it \"broke\"\n".to_string()),
        }
    }

    /// Guards the words of the protocol, and that what is sent is read.
    #[test]
    fn what_is_sent_is_read() {
        let text = String::from_utf8(report().to_bytes()).expect("it is text");
        assert_eq!(
            text,
            format!(
                r#"{{"ref":"os/main","commit":"{}","machine":"vm","state":"failed","apply":"soft-reboot","pulled_ms":12,"error":"it \"broke\"\n"}}"#,
                "a".repeat(64)
            )
        );
        assert_eq!(Report::parse(text.as_bytes()), Some(report()));
        let long = "\u{e4}".repeat(10_000);
        let (machine, error) = (format!("a\n{long}"), Some("\u{1}".repeat(10_000)));
        let sent = Report { machine, error, ..report() }.to_bytes();
        let read = Report::parse(&sent).expect("it was cut");
        assert!(read.machine.starts_with("a\u{e4}") && read.machine.len() <= 64);
        let unnamed = Report { machine: "\n".to_string(), ..report() }.to_bytes();
        assert_eq!(Report::parse(&unnamed).expect("a name is made up").machine, "?");
    }

    /// Guards that nothing half-understood gets through, and nothing that would garble a line.
    #[test]
    fn nonsense_is_refused() {
        let change = |from: &str, to: &str| {
            let text = String::from_utf8(report().to_bytes()).expect("it is text");
            assert!(text.contains(from));
            Report::parse(text.replace(from, to).as_bytes())
        };
        assert!(change(r#""pulled_ms":12"#, r#""later":[1]"#).is_some());
        assert_eq!(change("os/main", "../main"), None);
        assert_eq!(change(&"a".repeat(64), "abc"), None);
        assert_eq!(change("\"vm\"", "\"\""), None);
        assert_eq!(change("\"vm\"", r#""v\u001bm""#), None);
        assert_eq!(change("failed", "fine"), None);
        assert_eq!(change("12", "-1"), None);
        assert_eq!(change("vm", &"v".repeat(65)), None);
        assert_eq!(change("broke", &"e".repeat(4097)), None);
        assert_eq!(Report::parse(b"[]"), None);
        assert_eq!(Report::parse(&b" ".repeat(20_000)), None);
    }
}
