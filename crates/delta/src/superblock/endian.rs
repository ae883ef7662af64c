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
    LittleByGuess,
    /// It does not say, but its sizes only make sense so.
    BigByGuess,
    /// It says something else, or nothing and its sizes make sense either way: taken as little
    /// endian, as libostree takes the order of the machine.
    Unknown,
}

/// A part this many times larger than its contents would be nonsense.
const MOST_GROWTH: f64 = 1.2;

impl Endianness {
    pub(super) fn letter(self) -> Option<u8> {
        match self {
            Endianness::Little => Some(b'l'),
            Endianness::Big => Some(b'B'),
            Endianness::LittleByGuess | Endianness::BigByGuess | Endianness::Unknown => None,
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
            Endianness::LittleByGuess => "little (heuristic)",
            Endianness::BigByGuess => "big (heuristic)",
            Endianness::Unknown => "invalid",
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
            Some(Value::Byte(_)) => Endianness::Unknown,
            _ => Self::guess(parts),
        }
    }

    /// The rules are libostree's, but for the look at the other order: libostree takes a small
    /// part that did not compress for one of the other order.
    fn guess(parts: &[PartHeader]) -> Self {
        let (little, big) = (|n: u64| n, u64::swap_bytes);
        if is_huge(parts, little) || (grows(parts) && !is_huge(parts, big)) {
            Endianness::BigByGuess
        } else if is_huge(parts, big) {
            Endianness::LittleByGuess
        } else {
            Endianness::Unknown
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

/// Whether a part is much larger than what it makes.
fn grows(parts: &[PartHeader]) -> bool {
    let ratio = |part: &PartHeader| part.size as f64 / part.usize as f64;
    parts.iter().any(|part| part.size > part.usize && ratio(part) > MOST_GROWTH)
}

/// Whether objects have more than 4 GiB on average.
fn is_huge(parts: &[PartHeader], order: impl Fn(u64) -> u64) -> bool {
    let size = parts.iter().map(|part| order(part.size)).fold(0, u64::saturating_add);
    let objects: u64 = parts.iter().map(|part| part.objects.len() as u64).sum();
    size.checked_div(objects).is_some_and(|average| average > u64::from(u32::MAX))
}
