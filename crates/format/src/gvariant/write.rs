//! Writing the serialised normal form.

use super::Value;
use super::frame::{pad, push_offsets};

impl Value {
    /// Serialises the value, bit for bit as GLib does on a little-endian machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        write(self, &mut buffer);
        buffer
    }
}

/// Appends `value` at a position that already has its alignment.
pub(crate) fn write(value: &Value, buffer: &mut Vec<u8>) {
    match value {
        Value::Bool(b) => buffer.push(u8::from(*b)),
        Value::Byte(n) => buffer.push(*n),
        Value::Int16(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Uint16(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Int32(n) | Value::Handle(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Uint32(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Int64(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Uint64(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Double(n) => buffer.extend_from_slice(&n.to_le_bytes()),
        Value::Str(text) | Value::ObjectPath(text) | Value::Signature(text) => {
            debug_assert!(!text.contains('\0'), "strings of variants hold no NUL");
            push_string(buffer, text);
        }
        Value::Variant(inner) => {
            write(inner, buffer);
            buffer.push(0);
            buffer.extend_from_slice(inner.ty().to_string().as_bytes());
        }
        Value::Maybe(_, None) => {}
        Value::Maybe(ty, Some(inner)) => {
            debug_assert_eq!(*ty, inner.ty());
            write(inner, buffer);
            if ty.layout().size.is_none() {
                buffer.push(0);
            }
        }
        Value::Bytes(bytes) => buffer.extend_from_slice(bytes),
        Value::Array(element, items) => {
            debug_assert!(items.iter().all(|item| item.ty() == *element));
            let layout = element.layout();
            let start = buffer.len();
            let ends = write_aligned(items, |_| layout.align, buffer);
            if layout.size.is_none() {
                push_offsets(buffer, start, ends.into_iter());
            }
        }
        Value::Tuple(members) => write_members(value, members.iter(), buffer),
        Value::DictEntry(entry) => write_members(value, [&entry.0, &entry.1].into_iter(), buffer),
    }
}

/// Appends text and its NUL.
pub(crate) fn push_string(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(0);
}

/// Writes each value at its alignment and returns where each ends.
fn write_aligned<'v>(
    values: impl IntoIterator<Item = &'v Value>,
    align: impl Fn(&Value) -> usize,
    buffer: &mut Vec<u8>,
) -> Vec<usize> {
    values
        .into_iter()
        .map(|value| {
            pad(buffer, align(value));
            write(value, buffer);
            buffer.len()
        })
        .collect()
}

fn write_members<'v>(
    whole: &Value,
    members: impl Iterator<Item = &'v Value> + Clone,
    buffer: &mut Vec<u8>,
) {
    let start = buffer.len();
    let ends = write_aligned(members.clone(), |member| member.ty().layout().align, buffer);
    let layout = whole.ty().layout();
    if layout.size.is_some() {
        buffer.resize(buffer.len().max(start + 1), 0);
        pad(buffer, layout.align);
        return;
    }
    let mut framed: Vec<usize> = members
        .zip(ends)
        .filter(|(member, _)| member.ty().layout().size.is_none())
        .map(|(_, end)| end)
        .collect();
    // The end of the last member follows from the size of the whole.
    if last_is_variable(whole) {
        framed.pop();
    }
    push_offsets(buffer, start, framed.into_iter().rev());
}

fn last_is_variable(whole: &Value) -> bool {
    let last = match whole {
        Value::Tuple(members) => members.last(),
        Value::DictEntry(entry) => Some(&entry.1),
        _ => None,
    };
    last.is_some_and(|last| last.ty().layout().size.is_none())
}
