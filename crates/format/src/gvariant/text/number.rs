//! Numbers, read as C reads them once their type is known.

use super::Range;
use crate::error::Result;
use crate::gvariant::{Type, Value};

/// Reads `text` as a number of type `ty`; `None` if the type is not numeric.
pub fn number(text: &str, ty: &Type, range: Range) -> Option<Result<Value>> {
    let read = || Integer::read(text, range);
    let overflow = || range.error(format!("number out of range for type '{ty}'"));
    Some(match ty {
        Type::Byte => read().and_then(|n| n.fit().map(Value::Byte).ok_or_else(overflow)),
        Type::Int16 => read().and_then(|n| n.fit().map(Value::Int16).ok_or_else(overflow)),
        Type::Uint16 => read().and_then(|n| n.fit().map(Value::Uint16).ok_or_else(overflow)),
        Type::Int32 => read().and_then(|n| n.fit().map(Value::Int32).ok_or_else(overflow)),
        Type::Uint32 => read().and_then(|n| n.fit().map(Value::Uint32).ok_or_else(overflow)),
        Type::Int64 => read().and_then(|n| n.fit().map(Value::Int64).ok_or_else(overflow)),
        Type::Uint64 => read().and_then(|n| n.fit().map(Value::Uint64).ok_or_else(overflow)),
        Type::Handle => read().and_then(|n| n.fit().map(Value::Handle).ok_or_else(overflow)),
        Type::Double => double(text, range).map(Value::Double),
        _ => return None,
    })
}

/// An integer as written; wide enough that its sign is no special case.
struct Integer(i128);

impl Integer {
    /// Reads decimal, hex (`0x`) and octal (`0`) numbers up to 64 bits.
    fn read(text: &str, range: Range) -> Result<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let hex = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
        let (digits, radix) = match (hex, digits.strip_prefix('0')) {
            (Some(hex), _) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => (hex, 16),
            (_, Some(_)) => (digits, 8),
            _ => (digits, 10),
        };
        let valid = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if valid < digits.len() || digits.is_empty() {
            return Err(invalid_character(text, text.len() - digits.len() + valid, range));
        }
        let size = u64::from_str_radix(digits, radix)
            .map_err(|_| range.error("integer too big for any type"))?;
        let size = i128::from(size);
        Ok(Integer(if text.starts_with('-') { -size } else { size }))
    }

    fn fit<T: TryFrom<i128>>(&self) -> Option<T> {
        T::try_from(self.0).ok()
    }
}

fn invalid_character(text: &str, at: usize, range: Range) -> crate::error::FormatError {
    let start = range.start + at.min(text.len());
    Range { start, end: start + 1 }.error("invalid character in number")
}

fn double(text: &str, range: Range) -> Result<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.starts_with("0x") {
        // Hex digits of 64 bits at most; C would read fractions and exponents too.
        #[expect(clippy::cast_precision_loss, reason = "rounding is what reading a double does")]
        return Integer::read(text, range).map(|n| n.0 as f64);
    }
    let valid = text.len() - unsigned.len() + decimal_len(unsigned);
    match text[..valid].parse::<f64>() {
        Ok(number) if valid == text.len() => {
            if number.is_infinite() && unsigned.starts_with(|c: char| !c.is_alphabetic()) {
                return Err(range.error("number too big for any type"));
            }
            Ok(number)
        }
        _ => Err(invalid_character(text, valid, range)),
    }
}

/// Length of the decimal number, infinity or NaN `text` starts with.
fn decimal_len(text: &str) -> usize {
    let lower = text.to_ascii_lowercase();
    if let Some(word) = ["infinity", "inf", "nan"].iter().find(|word| lower.starts_with(**word)) {
        return word.len();
    }
    let digits = |from: usize| from + lower[from..].bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(0);
    let end = if lower[whole..].starts_with('.') { digits(whole + 1) } else { whole };
    if end == 0 || &lower[..end] == "." {
        return 0;
    }
    match lower[end..].strip_prefix('e') {
        Some(exponent) => {
            let sign = usize::from(exponent.starts_with(['-', '+']));
            let last = digits(end + 1 + sign);
            if last > end + 1 + sign { last } else { end }
        }
        None => end,
    }
}
