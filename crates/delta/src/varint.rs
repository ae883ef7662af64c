//! Numbers of 64 bits in seven-bit groups, the lowest first.

/// Longest encoding in bytes.
const MAX_LEN: usize = 10;

/// Appends `number`.
pub(crate) fn write(buffer: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        buffer.push(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

/// Reads a number and the number of bytes it took; `None` where it has no end or does not fit.
pub(crate) fn read(data: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in data.iter().take(MAX_LEN).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    /// Guards that every number survives, at the length libostree gives it.
    #[test]
    fn numbers_survive() {
        for (number, len) in
            [(0, 1), (127, 1), (128, 2), (1 << 14, 3), (u64::from(u32::MAX), 5), (u64::MAX, 10)]
        {
            let mut buffer = Vec::new();
            super::write(&mut buffer, number);
            assert_eq!(buffer.len(), len);
            assert_eq!(super::read(&buffer), Some((number, len)));
            assert_eq!(super::read(&buffer[..len - 1]), None, "cut");
        }
        assert_eq!(super::read(&[0xff; 12]), None, "endless");
        assert_eq!(super::read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
    }
}
