//! Points in time as `ostree` reads and prints them.

use std::num::IntErrorKind;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::environment;
use crate::error::{CliError, Result};

/// The seconds since 1970 that `text` means, in any form GNU `date` takes.
pub fn parse(text: &str) -> Result<i64> {
    if let Some(seconds) = counted(text) {
        return Ok(seconds);
    }
    match parse_datetime::parse_datetime(text) {
        Ok(time) => Ok(time.unix_epoch_second()),
        Err(_) => Err(CliError::failed(format!("Could not parse '{text}'"))),
    }
}

/// What a plain `@SECONDS` means, which needs no time zone: to ask for that of the machine, as
/// the parser of all other forms does at once, reads all directories of zones there are.
fn counted(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('@')?;
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let plain = !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit());
    let time = Timestamp::from_second(digits.parse().ok().filter(|_| plain)?).ok()?;
    Some(time.as_second())
}

/// `2026-11-23 13:17:00 +0000`; `None` beyond the year 9999. Times before 1970 are numbers that
/// wrapped around.
pub fn utc(seconds: u64) -> Option<String> {
    let time = Timestamp::from_second(seconds.cast_signed()).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S +0000").to_string())
}

/// `2026-11-23T13:17:00Z`, or `invalid`.
pub fn utc_iso(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.map_or("invalid".to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// `2026-11-23T14:17:00+01` in the time zone of the machine, or `invalid`.
pub fn local_iso(seconds: u64) -> String {
    let zoned = i64::try_from(seconds)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok())
        .map(|t| t.to_zoned(TimeZone::system()));
    match zoned {
        Some(time) => time.strftime("%Y-%m-%dT%H:%M:%S%:::z").to_string(),
        None => "invalid".to_string(),
    }
}

/// `Tue Sep 10 02:29:42 2013` in the time zone of the machine, as C's `%c` has it.
pub fn local_c(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => "invalid".to_string(),
    }
}

/// Now, as the times of files have it.
pub fn file_time() -> trefoil_fsat::Timestamp {
    let now = Timestamp::now();
    let nsec = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    trefoil_fsat::Timestamp { sec: now.as_second(), nsec }
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// The time for a new commit: `SOURCE_DATE_EPOCH` where it is set, else now.
pub fn commit_time() -> Result<u64> {
    let Some(text) = environment::text("SOURCE_DATE_EPOCH") else { return Ok(now()) };
    match text.parse::<i64>() {
        Ok(seconds @ 0..) => Ok(seconds.unsigned_abs()),
        Err(e) if *e.kind() == IntErrorKind::PosOverflow => {
            Err(CliError::failed("Parsing SOURCE_DATE_EPOCH: Numerical result out of range"))
        }
        _ => Err(CliError::failed(format!("Failed to convert SOURCE_DATE_EPOCH '{text}'"))),
    }
}

#[cfg(test)]
mod tests {
    /// Guards the forms of dates that the scripts of libostree use.
    #[test]
    fn dates_of_scripts_are_understood() {
        for (text, seconds) in [
            ("@1234567890", 1_234_567_890),
            ("2005-10-29 12:43:29 +0000", 1_130_589_809),
            ("2010-10-29 12:43:29 +0000", 1_288_356_209),
        ] {
            assert_eq!(super::parse(text).expect(text), seconds);
        }
        for text in ["October 25 1985", "November 05 1955", "1 week ago", "October 5 1985"] {
            super::parse(text).expect(text);
        }
        super::parse("no date").expect_err("words are no date");
    }

    /// Guards that seconds mean the same without the parser of everything else, and that what
    /// only looks like seconds is left to it.
    #[test]
    fn seconds_are_read_as_they_are_otherwise() {
        for text in ["@0", "@1700000000", "@-1", "@007", "@-62135596800", "@253402207200"] {
            let seconds = super::counted(text).expect(text);
            let time = parse_datetime::parse_datetime(text).expect(text);
            assert_eq!(time.unix_epoch_second(), seconds, "{text}");
        }
        for text in ["@", "@-", "@+5", "@1.5", "@ 5", "@5 ", "5", "@--5", "@99999999999999"] {
            assert_eq!(super::counted(text), None, "{text}");
        }
    }

    /// Guards the layout of dates in `log` and `summary -v`.
    #[test]
    fn dates_are_printed_as_libostree_does() {
        assert_eq!(super::utc(1_130_589_809).as_deref(), Some("2005-10-29 12:43:29 +0000"));
        assert!(super::local_iso(1_130_589_809).starts_with("2005-10-"));
        assert_eq!(super::local_iso(u64::MAX), "invalid");
    }
}
