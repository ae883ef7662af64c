use trefoil_format::gvariant::{Metadata, Value};

use super::{ENDIANNESS, PartHeader};

/// The byte order of a delta, and how we know.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Endianness {
    /// It says so.
    Little,
    /// It says so.
    Big,
    /// It does not say, but its sizes only make sense so.
    BigByGuess,
    /// It says something else, or nothing that its sizes contradict: taken as little endian,
    /// as libostree takes the order of the machine.
    Unknown {
        /// Whether it says nothing.
        guessed: bool,
    },
}

/// A part this many times larger than its contents would be nonsense.
const MOST_GROWTH: f64 = 1.2;

impl Endianness {
    pub(super) fn letter(self) -> Option<u8> {
        match self {
            Endianness::Little => Some(b'l'),
            Endianness::Big => Some(b'B'),
            Endianness::BigByGuess | Endianness::Unknown { .. } => None,
        }
    }

    /// Whether numbers are big endian.
    pub fn is_big(self) -> bool {
        matches!(self, Endianness::Big | Endianness::BigByGuess)
    }

    /// In the words of `ostree static-delta show`.
    pub fn words(self) -> &'static str {
        match self {
            Endianness::Little => "little",
            Endianness::Big => "big",
            Endianness::BigByGuess => "big (heuristic)",
            Endianness::Unknown { .. } => "invalid",
        }
    }

    /// The other one.
    pub fn swapped(self) -> Self {
        if self.is_big() { Endianness::Little } else { Endianness::Big }
    }

    pub(super) fn of(metadata: &Metadata, parts: &[PartHeader]) -> Self {
        match metadata.get(ENDIANNESS) {
            Some(Value::Byte(b'l')) => Endianness::Little,
            Some(Value::Byte(b'B')) => Endianness::Big,
            Some(Value::Byte(_)) => Endianness::Unknown { guessed: false },
            _ if is_nonsense(parts) => Endianness::BigByGuess,
            _ => Endianness::Unknown { guessed: true },
        }
    }

    /// Swaps the bytes of a number of a big-endian delta.
    pub(super) fn u64(self, number: u64) -> u64 {
        if self.is_big() { number.swap_bytes() } else { number }
    }

    /// Swaps the bytes of a number of a big-endian delta.
    pub(super) fn u32(self, number: u32) -> u32 {
        if self.is_big() { number.swap_bytes() } else { number }
    }
}

/// Whether sizes read as little endian are those of no real delta: a part much larger than what
/// it makes, or objects of more than 4 GiB on average. The rule is libostree's.
fn is_nonsense(parts: &[PartHeader]) -> bool {
    let grows = |part: &PartHeader| {
        part.size > part.usize && part.size as f64 / part.usize as f64 > MOST_GROWTH
    };
    let size = parts.iter().map(|part| part.size).fold(0, u64::wrapping_add);
    let objects: u64 = parts.iter().map(|part| part.objects.len() as u64).sum();
    parts.iter().any(grows) || size.checked_div(objects).is_some_and(|n| n > u64::from(u32::MAX))
}
