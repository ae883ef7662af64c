use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::Metadata;
use trefoil_format::object::ObjectType;
use trefoil_sign::gpg::{self, Keyring, SignatureReport};

use super::VerifyResult;
use crate::Repo;

/// The OpenPGP signatures of a commit as they are stored, `None` where it has none.
pub fn gpg_signatures(metadata: &Metadata) -> VerifyResult<Option<Vec<&[u8]>>> {
    Ok(trefoil_sign::signatures(metadata, gpg::METADATA_KEY)?)
}

/// Whether a commit carries OpenPGP signatures.
pub fn has_gpg_signature(repo: &Repo, commit: &Checksum) -> VerifyResult<bool> {
    match repo.load_detached(commit)? {
        Some(detached) => Ok(gpg_signatures(&detached)?.is_some()),
        None => Ok(false),
    }
}

/// What became of each OpenPGP signature of a commit, with the keys of `ring`; `None` where it
/// has none.
///
/// # Errors
/// The commit is not there; signatures that are no OpenPGP data.
pub fn gpg_reports(
    repo: &Repo,
    commit: &Checksum,
    ring: &Keyring,
    now: u64,
) -> VerifyResult<Option<Vec<SignatureReport>>> {
    let Some(detached) = repo.load_detached(commit)? else { return Ok(None) };
    let Some(signatures) = gpg_signatures(&detached)? else { return Ok(None) };
    let bytes = repo.load_metadata(ObjectType::Commit, commit)?;
    Ok(Some(ring.verify(&bytes, &signatures, now)?))
}

/// Seconds since 1970 as C's `%c` has it, in UTC: `Tue Sep 10 02:29:42 2013`.
pub(super) fn utc(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = seconds.div_euclid(86_400);
    let second = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    let index = |n: i64, len: usize| usize::try_from(n).unwrap_or(0) % len;
    format!(
        "{} {} {day:2} {:02}:{:02}:{:02} {year}",
        DAYS[index(days.rem_euclid(7), 7)],
        MONTHS[index(month - 1, 12)],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a number of days since 1970, by eras of 400 years that begin in
/// March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    /// Guards the dates in error messages.
    #[test]
    fn dates_are_those_of_c() {
        assert_eq!(super::utc(1_378_780_182), "Tue Sep 10 02:29:42 2013");
        assert_eq!(super::utc(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(super::utc(951_868_799), "Tue Feb 29 23:59:59 2000");
    }
}
