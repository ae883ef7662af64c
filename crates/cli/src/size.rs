//! Sizes in words, as GLib prints them.

/// `bytes` in decimal units with one digit behind the point; the unit follows a no-break
/// space, below one kilobyte a plain one.
pub fn words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" });
    }
    let mut divisor = 1000_u64;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && bytes / divisor >= 1000 {
        divisor *= 1000;
        unit += 1;
    }
    format!("{:.1}\u{a0}{}", bytes as f64 / divisor as f64, UNITS[unit])
}

#[cfg(test)]
mod tests {
    /// Guards the exact text: expected values are what `GLib.format_size` gave.
    #[test]
    fn sizes_are_glibs() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0\u{a0}kB"),
            (1234, "1.2\u{a0}kB"),
            (999_950, "1000.0\u{a0}kB"),
            (1_000_000, "1.0\u{a0}MB"),
            (123_456_789, "123.5\u{a0}MB"),
            (5_000_000_000_000, "5.0\u{a0}TB"),
        ] {
            assert_eq!(super::words(bytes), text);
        }
    }
}
