//! Records of pax extended headers: `LENGTH KEY=VALUE\n`. Values are bytes, and may contain
//! newlines.

use crate::error::{FormatError, Result};

/// Before the name of an extended attribute; its value is raw.
pub const XATTR: &str = "SCHILY.xattr.";

/// One record.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What stands before the first `=`.
    pub key: &'a [u8],
    /// What stands behind it.
    pub value: &'a [u8],
}

/// The records of one extended header, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    /// The records in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Records(bytes)
    }

    fn cut(&mut self) -> Option<Record<'a>> {
        let bytes = self.0;
        let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
        let len = std::str::from_utf8(&bytes[..space]).ok()?.parse::<usize>().ok()?;
        let record = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        self.0 = &bytes[len..];
        Some(Record { key: &record[..equals], value: &record[equals + 1..] })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some programs pad with NULs.
        if self.0.iter().all(|byte| *byte == 0) {
            return None;
        }
        Some(self.cut().ok_or_else(|| {
            self.0 = &[];
            FormatError::invalid("pax record", "not LENGTH KEY=VALUE")
        }))
    }
}

/// Appends a record to the content of an extended header.
pub fn push(buffer: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Space, equals sign and newline; the length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len += 1;
    }
    buffer.extend_from_slice(len.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        buffer.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards lengths around a change of their own number of digits, and values with newlines.
    #[test]
    fn records_come_back() {
        for len in (0..200).chain(9980..10_010) {
            let value = vec![b'\n'; len];
            let mut bytes = Vec::new();
            push(&mut bytes, b"k", &value);
            push(&mut bytes, b"SCHILY.xattr.a=b", b"1");
            let read: Vec<_> = Records::new(&bytes).collect::<Result<_>>().expect("valid");
            assert_eq!(read[0], Record { key: b"k", value: &value });
            assert_eq!(read[1], Record { key: b"SCHILY.xattr.a", value: b"b=1" });
            assert_eq!(read.len(), 2);
        }
    }

    /// Guards that nothing of the kind goes on after an error.
    #[test]
    fn damage_ends_the_list() {
        for bytes in [b"99 a=b\n".as_slice(), b"x", b"7 a=bcd", b"6 abc\n", b"0 =\n", b"2 "] {
            let mut records = Records::new(bytes);
            records.next().expect("something").expect_err("damaged");
            assert!(records.next().is_none());
        }
    }
}
