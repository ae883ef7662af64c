//! The dictionary `a{sv}` that keeps its order.

use super::{Type, Value, read};
use crate::error::{FormatError, Result};

/// An `a{sv}` in the order it was read or built: metadata of a commit, detached metadata.
///
/// Keys may repeat in bytes read from elsewhere; the first one counts, as in GLib.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(pub Vec<(String, Value)>);

impl Metadata {
    /// Starts empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of `key`, without the `v` around it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Returns the value of `key` if it is an `s`.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Sets a value where the key is, or at the end.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(own, _)| *own == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Removes every entry of `key` and returns the value that counted.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let value = self.get(key).cloned();
        self.0.retain(|(own, _)| own != key);
        value
    }

    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Reads the serialised form.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let value = read::parse(&Type::vardict(), data).map_err(|fault| fault.of("metadata"))?;
        Self::from_value(value)
    }

    /// Serialises the dictionary.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_value().to_bytes()
    }

    /// Takes a value of type `a{sv}`.
    pub fn from_value(value: Value) -> Result<Self> {
        let mismatch = || FormatError::invalid("metadata", "expected type a{sv}");
        match value {
            Value::Array(ty, items) if Type::array(ty.clone()) == Type::vardict() => items
                .into_iter()
                .map(|item| entry(item).ok_or_else(mismatch))
                .collect::<Result<_>>()
                .map(Metadata),
            _ => Err(mismatch()),
        }
    }

    /// Returns the value of type `a{sv}`.
    pub fn to_value(&self) -> Value {
        let entry = |(key, value): &(String, Value)| {
            Value::dict_entry(Value::Str(key.clone()), value.clone().variant())
        };
        let element = Type::dict_entry(Type::Str, Type::Variant);
        Value::Array(element, self.0.iter().map(entry).collect())
    }
}

fn entry(item: Value) -> Option<(String, Value)> {
    match item {
        Value::DictEntry(entry) => match *entry {
            (Value::Str(key), Value::Variant(value)) => Some((key, *value)),
            _ => None,
        },
        _ => None,
    }
}
