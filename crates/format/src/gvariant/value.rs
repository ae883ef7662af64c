//! One value of any type.

use super::Type;

/// Most values one serialised variant may hold, counting containers and what they contain.
/// Keeps the memory for 128 MiB of hostile input within bounds; libostree has no such limit.
pub const MAX_VALUES: usize = 4 << 20;

/// A value of any GVariant type.
///
/// Values built by hand must be consistent: elements of [`Value::Array`] and the content of
/// [`Value::Maybe`] have the named type, strings hold no NUL, and object paths and signatures
/// are valid. Everything this crate parses is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `y`
    Byte(u8),
    /// `n`
    Int16(i16),
    /// `q`
    Uint16(u16),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `h`
    Handle(i32),
    /// `d`
    Double(f64),
    /// `s`
    Str(String),
    /// `o`
    ObjectPath(String),
    /// `g`
    Signature(String),
    /// `v`
    Variant(Box<Value>),
    /// `m`: the type of the content, and the content
    Maybe(Type, Option<Box<Value>>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `a` of anything but bytes: the type of the elements, and the elements. Dictionaries are
    /// arrays of [`Value::DictEntry`] and keep their order.
    Array(Type, Vec<Value>),
    /// `(...)`
    Tuple(Vec<Value>),
    /// `{kv}`
    DictEntry(Box<(Value, Value)>),
}

impl Value {
    /// Returns the type.
    pub fn ty(&self) -> Type {
        match self {
            Value::Bool(_) => Type::Bool,
            Value::Byte(_) => Type::Byte,
            Value::Int16(_) => Type::Int16,
            Value::Uint16(_) => Type::Uint16,
            Value::Int32(_) => Type::Int32,
            Value::Uint32(_) => Type::Uint32,
            Value::Int64(_) => Type::Int64,
            Value::Uint64(_) => Type::Uint64,
            Value::Handle(_) => Type::Handle,
            Value::Double(_) => Type::Double,
            Value::Str(_) => Type::Str,
            Value::ObjectPath(_) => Type::ObjectPath,
            Value::Signature(_) => Type::Signature,
            Value::Variant(_) => Type::Variant,
            Value::Maybe(content, _) => Type::maybe(content.clone()),
            Value::Bytes(_) => Type::bytes(),
            Value::Array(element, _) => Type::array(element.clone()),
            Value::Tuple(members) => Type::tuple(members.iter().map(Value::ty)),
            Value::DictEntry(entry) => Type::dict_entry(entry.0.ty(), entry.1.ty()),
        }
    }

    /// Makes an array; one of bytes becomes [`Value::Bytes`].
    pub fn array(element: Type, items: Vec<Value>) -> Self {
        if element != Type::Byte {
            return Value::Array(element, items);
        }
        Value::Bytes(
            items
                .iter()
                .filter_map(|item| if let Value::Byte(b) = item { Some(*b) } else { None })
                .collect(),
        )
    }

    /// Makes an `as`.
    pub fn strings(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Value::Array(Type::Str, items.into_iter().map(|item| Value::Str(item.into())).collect())
    }

    /// Wraps the value into a `v`.
    pub fn variant(self) -> Self {
        Value::Variant(Box::new(self))
    }

    /// Makes a dictionary entry.
    pub fn dict_entry(key: Value, value: Value) -> Self {
        Value::DictEntry(Box::new((key, value)))
    }

    /// Returns the text of an `s`.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Str(text) = self { Some(text) } else { None }
    }

    /// Returns the content of an `ay`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// Returns a `b`.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// Returns the elements of an array other than `ay`.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(_, items) = self { Some(items) } else { None }
    }

    /// Returns the texts of an `as`.
    pub fn as_strings(&self) -> Option<Vec<&str>> {
        self.as_array()?.iter().map(Value::as_str).collect()
    }

    /// Returns the value with the bytes of every number in it reversed, which turns the
    /// big-endian numbers of OSTree objects into readable ones and back.
    pub fn byteswapped(&self) -> Self {
        match self {
            Value::Int16(n) => Value::Int16(n.swap_bytes()),
            Value::Uint16(n) => Value::Uint16(n.swap_bytes()),
            Value::Int32(n) => Value::Int32(n.swap_bytes()),
            Value::Uint32(n) => Value::Uint32(n.swap_bytes()),
            Value::Int64(n) => Value::Int64(n.swap_bytes()),
            Value::Uint64(n) => Value::Uint64(n.swap_bytes()),
            Value::Handle(n) => Value::Handle(n.swap_bytes()),
            Value::Double(n) => Value::Double(f64::from_bits(n.to_bits().swap_bytes())),
            Value::Variant(inner) => inner.byteswapped().variant(),
            Value::Maybe(ty, inner) => {
                Value::Maybe(ty.clone(), inner.as_ref().map(|inner| Box::new(inner.byteswapped())))
            }
            Value::Array(ty, items) => Value::Array(ty.clone(), swap_all(items)),
            Value::Tuple(members) => Value::Tuple(swap_all(members)),
            Value::DictEntry(entry) => {
                Value::dict_entry(entry.0.byteswapped(), entry.1.byteswapped())
            }
            Value::Bool(_)
            | Value::Byte(_)
            | Value::Str(_)
            | Value::ObjectPath(_)
            | Value::Signature(_)
            | Value::Bytes(_) => self.clone(),
        }
    }
}

fn swap_all(values: &[Value]) -> Vec<Value> {
    values.iter().map(Value::byteswapped).collect()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Uint32(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Uint64(value)
    }
}
