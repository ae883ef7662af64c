use super::WHAT;
use crate::error::{FormatError, Result};

/// Reads a numeric field: octal digits between blanks, or base 256 where the first bit is set.
/// As in libarchive what follows the digits is not looked at, and no digits make 0.
pub(super) fn number(field: &[u8], what: &'static str) -> Result<u64> {
    let out_of_range = || FormatError::invalid(WHAT, format!("{what} out of range"));
    let [first, rest @ ..] = field else { return Ok(0) };
    if first & 0x80 != 0 {
        // The second bit is the sign: no field here may be negative.
        if first & 0x40 != 0 {
            return Err(out_of_range());
        }
        let start = u64::from(first & 0x3f);
        return rest.iter().try_fold(start, |value, byte| {
            let high = value.checked_mul(256).ok_or_else(out_of_range)?;
            Ok(high | u64::from(*byte))
        });
    }
    let digits = field.iter().skip_while(|byte| matches!(byte, b' ' | b'\t'));
    if digits.clone().next() == Some(&b'-') {
        return Err(out_of_range());
    }
    digits.take_while(|byte| matches!(byte, b'0'..=b'7')).try_fold(0_u64, |value, digit| {
        let high = value.checked_mul(8).ok_or_else(out_of_range)?;
        Ok(high | u64::from(digit - b'0'))
    })
}

/// Reads a decimal number of a pax record or of the map of a sparse file.
pub fn decimal(text: &[u8], what: &'static str) -> Result<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
    let value = text.and_then(|text| text.parse().ok());
    value.ok_or_else(|| FormatError::invalid("pax record", format!("{what} is no number in range")))
}

#[cfg(test)]
mod tests {
    /// Guards the forms a number may have.
    #[test]
    fn numbers() {
        let read = |field: &[u8]| super::number(field, "size");
        assert_eq!(read(b"0000644\0").expect("octal"), 0o644);
        assert_eq!(read(b"   644 \0").expect("octal"), 0o644);
        assert_eq!(read(&[0; 8]).expect("empty"), 0);
        assert_eq!(read(&[0x80, 0, 0, 0, 1, 0]).expect("base 256"), 256);
        read(&[0xff; 8]).expect_err("negative");
        read(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect_err("more than 64 bits");
        read(b"777777777777777777777777").expect_err("more than 64 bits");
        assert_eq!(super::decimal(b"12", "size").expect("decimal"), 12);
        super::decimal(b"-1", "size").expect_err("negative");
    }
}
