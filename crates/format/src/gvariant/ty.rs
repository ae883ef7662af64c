//! Types of variants and their type strings.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::frame::tuple_layout;
use crate::error::{FormatError, Result, cut};

/// How deep types and values may nest; GLib's limit.
pub const MAX_DEPTH: usize = 128;

/// Longest type string accepted, in bytes. GLib has no limit; real ones have a few dozen.
pub const MAX_TYPE_LEN: usize = 64 * 1024;

/// A definite type: one that a value can have. Cloning is cheap, nested types are shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `b`
    Bool,
    /// `y`
    Byte,
    /// `n`
    Int16,
    /// `q`
    Uint16,
    /// `i`
    Int32,
    /// `u`
    Uint32,
    /// `x`
    Int64,
    /// `t`
    Uint64,
    /// `h`
    Handle,
    /// `d`
    Double,
    /// `s`
    Str,
    /// `o`
    ObjectPath,
    /// `g`
    Signature,
    /// `v`
    Variant,
    /// `m` and the type of the content
    Maybe(Arc<Type>),
    /// `a` and the type of the elements
    Array(Arc<Type>),
    /// `(...)`
    Tuple(Arc<[Type]>),
    /// `{kv}`; the key is a basic type
    DictEntry(Arc<(Type, Type)>),
}

/// Alignment of a type, and its size if all its values have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub align: usize,
    pub size: Option<usize>,
}

impl Type {
    /// Reads one complete definite type.
    pub fn parse(text: &str) -> Result<Self> {
        let error =
            |why| FormatError::invalid("variant type", format!("'{}': {why}", cut(text, 80)));
        if text.len() > MAX_TYPE_LEN {
            return Err(error("too long"));
        }
        let (ty, rest) = scan(text.as_bytes(), MAX_DEPTH).map_err(error)?;
        if rest.is_empty() { Ok(ty) } else { Err(error("expected one type")) }
    }

    /// Tells whether `text` is a signature: any number of types D-Bus knows, which leaves out
    /// `m`.
    pub fn is_signature(text: &str) -> bool {
        let mut rest = text.as_bytes();
        if rest.contains(&b'm') || rest.len() > MAX_TYPE_LEN {
            return false;
        }
        while !rest.is_empty() {
            match scan(rest, MAX_DEPTH) {
                Ok((_, after)) => rest = after,
                Err(_) => return false,
            }
        }
        true
    }

    /// Returns the type of arrays of this type.
    pub fn array(element: Type) -> Self {
        Type::Array(Arc::new(element))
    }

    /// Returns the maybe type of this type.
    pub fn maybe(content: Type) -> Self {
        Type::Maybe(Arc::new(content))
    }

    /// Returns the type of a tuple with these members.
    pub fn tuple(members: impl IntoIterator<Item = Type>) -> Self {
        Type::Tuple(members.into_iter().collect())
    }

    /// Returns the type of a dictionary entry.
    pub fn dict_entry(key: Type, value: Type) -> Self {
        Type::DictEntry(Arc::new((key, value)))
    }

    /// Returns the type `a{sv}`.
    pub fn vardict() -> Self {
        Type::array(Type::dict_entry(Type::Str, Type::Variant))
    }

    /// Returns the type `ay`.
    pub fn bytes() -> Self {
        Type::array(Type::Byte)
    }

    /// Tells whether the type can be the key of a dictionary.
    pub fn is_basic(&self) -> bool {
        basic_char(self).is_some_and(|c| c != 'v')
    }

    /// Returns how deep the type nests; 1 for a type without parts.
    pub fn depth(&self) -> usize {
        1 + match self {
            Type::Maybe(inner) | Type::Array(inner) => inner.depth(),
            Type::Tuple(members) => members.iter().map(Type::depth).max().unwrap_or(0),
            Type::DictEntry(entry) => entry.0.depth().max(entry.1.depth()),
            _ => 0,
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        let both = |size| Layout { align: size, size: Some(size) };
        match self {
            Type::Bool | Type::Byte => both(1),
            Type::Int16 | Type::Uint16 => both(2),
            Type::Int32 | Type::Uint32 | Type::Handle => both(4),
            Type::Int64 | Type::Uint64 | Type::Double => both(8),
            Type::Str | Type::ObjectPath | Type::Signature => Layout { align: 1, size: None },
            Type::Variant => Layout { align: 8, size: None },
            Type::Maybe(inner) | Type::Array(inner) => {
                Layout { align: inner.layout().align, size: None }
            }
            Type::Tuple(members) => tuple_layout(members.iter()),
            Type::DictEntry(entry) => tuple_layout([&entry.0, &entry.1].into_iter()),
        }
    }
}

/// Character of a type without parts.
fn basic_char(ty: &Type) -> Option<char> {
    Some(match ty {
        Type::Bool => 'b',
        Type::Byte => 'y',
        Type::Int16 => 'n',
        Type::Uint16 => 'q',
        Type::Int32 => 'i',
        Type::Uint32 => 'u',
        Type::Int64 => 'x',
        Type::Uint64 => 't',
        Type::Handle => 'h',
        Type::Double => 'd',
        Type::Str => 's',
        Type::ObjectPath => 'o',
        Type::Signature => 'g',
        Type::Variant => 'v',
        Type::Maybe(_) | Type::Array(_) | Type::Tuple(_) | Type::DictEntry(_) => return None,
    })
}

/// Reads the first type and returns what follows it.
fn scan(text: &[u8], depth: usize) -> std::result::Result<(Type, &[u8]), &'static str> {
    let (first, rest) = text.split_first().ok_or("expected a type")?;
    let depth = depth.checked_sub(1).ok_or("nested too deeply")?;
    let basic = match first {
        b'b' => Type::Bool,
        b'y' => Type::Byte,
        b'n' => Type::Int16,
        b'q' => Type::Uint16,
        b'i' => Type::Int32,
        b'u' => Type::Uint32,
        b'x' => Type::Int64,
        b't' => Type::Uint64,
        b'h' => Type::Handle,
        b'd' => Type::Double,
        b's' => Type::Str,
        b'o' => Type::ObjectPath,
        b'g' => Type::Signature,
        b'v' => Type::Variant,
        b'm' => return scan(rest, depth).map(|(ty, rest)| (Type::maybe(ty), rest)),
        b'a' => return scan(rest, depth).map(|(ty, rest)| (Type::array(ty), rest)),
        b'(' => return scan_tuple(rest, depth),
        b'{' => return scan_dict_entry(rest, depth),
        _ => return Err("expected a definite type"),
    };
    Ok((basic, rest))
}

fn scan_tuple(mut rest: &[u8], depth: usize) -> std::result::Result<(Type, &[u8]), &'static str> {
    let mut members = Vec::new();
    loop {
        if let Some((b')', after)) = rest.split_first() {
            return Ok((Type::tuple(members), after));
        }
        let (member, after) = scan(rest, depth)?;
        members.push(member);
        rest = after;
    }
}

fn scan_dict_entry(rest: &[u8], depth: usize) -> std::result::Result<(Type, &[u8]), &'static str> {
    let (key, rest) = scan(rest, depth)?;
    if !key.is_basic() {
        return Err("expected a basic type as key");
    }
    let (value, rest) = scan(rest, depth)?;
    match rest.split_first() {
        Some((b'}', after)) => Ok((Type::dict_entry(key, value), after)),
        _ => Err("expected '}'"),
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Maybe(inner) => write!(f, "m{inner}"),
            Type::Array(inner) => write!(f, "a{inner}"),
            Type::Tuple(members) => {
                f.write_str("(")?;
                members.iter().try_for_each(|member| write!(f, "{member}"))?;
                f.write_str(")")
            }
            Type::DictEntry(entry) => write!(f, "{{{}{}}}", entry.0, entry.1),
            basic => write!(f, "{}", basic_char(basic).unwrap_or('*')),
        }
    }
}

impl FromStr for Type {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self> {
        Type::parse(text)
    }
}
