//! The order of version strings that glibc's `strverscmp` defines.

use std::cmp::Ordering;

/// Compares two version strings: runs of digits by number, unless a leading zero makes them
/// fractions, everything else by byte.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[same..], &b[same..]);
    let by_bytes = rest_a.first().cmp(&rest_b.first());

    let run = digits_at_end(&a[..same]);
    let (more_a, more_b) = (digits_at_start(rest_a), digits_at_start(rest_b));
    match run.first() {
        // A number starts here: a zero at its head makes it a fraction.
        None if rest_a.first() == Some(&b'0') || rest_b.first() == Some(&b'0') => by_bytes,
        None if more_a == 0 || more_b == 0 => by_bytes,
        None => more_a.cmp(&more_b).then(by_bytes),
        // Inside a number: the longer one is the greater.
        Some(b'1'..=b'9') => more_a.cmp(&more_b).then(by_bytes),
        // After zeros only: whichever goes on with digits is the smaller fraction.
        Some(_) if run.iter().all(|digit| *digit == b'0') && (more_a == 0) != (more_b == 0) => {
            more_b.cmp(&more_a)
        }
        Some(_) => by_bytes,
    }
}

fn digits_at_start(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn digits_at_end(text: &[u8]) -> &[u8] {
    let count = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    &text[text.len() - count..]
}
