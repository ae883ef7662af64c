//! Reading the serialised normal form.

use super::frame::{Elements, Fault, Members, Span, string};
use super::{Layout, MAX_DEPTH, MAX_TYPE_LEN, MAX_VALUES, Type, Value};
use crate::error::Result;

impl Value {
    /// Reads a value of type `ty` that takes all of `data`.
    ///
    /// Refuses everything but the normal form, nesting beyond [`MAX_DEPTH`] and more than
    /// [`MAX_VALUES`] values, so memory stays below about 64 bytes a value plus the input.
    pub fn parse(ty: &Type, data: &[u8]) -> Result<Value> {
        parse(ty, data).map_err(|fault| fault.of("variant"))
    }
}

/// Like [`Value::parse`] for a caller who knows what it is reading.
pub(crate) fn parse(ty: &Type, data: &[u8]) -> std::result::Result<Value, Fault> {
    Reader { budget: MAX_VALUES }.value(ty, Span::new(data), MAX_DEPTH)
}

struct Reader {
    budget: usize,
}

impl Reader {
    fn value(
        &mut self,
        ty: &Type,
        span: Span<'_>,
        depth: usize,
    ) -> std::result::Result<Value, Fault> {
        self.budget = self.budget.checked_sub(1).ok_or(span.fault(0, "fewer values"))?;
        let depth = depth.checked_sub(1).ok_or(span.fault(0, "less deeply nested values"))?;
        Ok(match ty {
            Type::Bool => match fixed(span)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return Err(span.fault(0, "0 or 1 for a boolean")),
            },
            Type::Byte => Value::Byte(u8::from_le_bytes(fixed(span)?)),
            Type::Int16 => Value::Int16(i16::from_le_bytes(fixed(span)?)),
            Type::Uint16 => Value::Uint16(u16::from_le_bytes(fixed(span)?)),
            Type::Int32 => Value::Int32(i32::from_le_bytes(fixed(span)?)),
            Type::Uint32 => Value::Uint32(u32::from_le_bytes(fixed(span)?)),
            Type::Int64 => Value::Int64(i64::from_le_bytes(fixed(span)?)),
            Type::Uint64 => Value::Uint64(u64::from_le_bytes(fixed(span)?)),
            Type::Handle => Value::Handle(i32::from_le_bytes(fixed(span)?)),
            Type::Double => Value::Double(f64::from_le_bytes(fixed(span)?)),
            Type::Str => Value::Str(string(span)?.to_owned()),
            Type::ObjectPath => match string(span)? {
                path if is_object_path(path) => Value::ObjectPath(path.to_owned()),
                _ => return Err(span.fault(0, "an object path")),
            },
            Type::Signature => match string(span)? {
                text if Type::is_signature(text) => Value::Signature(text.to_owned()),
                _ => return Err(span.fault(0, "a signature")),
            },
            Type::Variant => self.variant(span, depth)?,
            Type::Maybe(content) => self.maybe(content, span, depth)?,
            Type::Array(element) if **element == Type::Byte => Value::Bytes(span.data.to_vec()),
            Type::Array(element) => self.array(element, span, depth)?,
            Type::Tuple(members) => Value::Tuple(self.members(ty, members, span, depth)?),
            Type::DictEntry(entry) => self.dict_entry(ty, entry, span, depth)?,
        })
    }

    fn variant(&mut self, span: Span<'_>, depth: usize) -> std::result::Result<Value, Fault> {
        let expected = "a value, NUL and its type in a variant";
        let nul = span.data.iter().rposition(|byte| *byte == 0).ok_or(span.fault(0, expected))?;
        let text = &span.data[nul + 1..];
        let ty = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() <= MAX_TYPE_LEN)
            .and_then(|text| Type::parse(text).ok())
            .ok_or(span.fault(nul + 1, "a definite type string"))?;
        Ok(self.value(&ty, span.slice(0, nul), depth)?.variant())
    }

    fn maybe(
        &mut self,
        content: &Type,
        span: Span<'_>,
        depth: usize,
    ) -> std::result::Result<Value, Fault> {
        let inner = match (content.layout().size, span.data.split_last()) {
            (_, None) => return Ok(Value::Maybe(content.clone(), None)),
            (Some(_), Some(_)) => span,
            (None, Some((0, rest))) => span.slice(0, rest.len()),
            (None, Some(_)) => return Err(span.fault(span.data.len() - 1, "NUL behind a maybe")),
        };
        let inner = self.value(content, inner, depth)?;
        Ok(Value::Maybe(content.clone(), Some(Box::new(inner))))
    }

    fn array(
        &mut self,
        element: &Type,
        span: Span<'_>,
        depth: usize,
    ) -> std::result::Result<Value, Fault> {
        let layout = element.layout();
        let items = if let Some(size) = layout.size {
            if !span.data.len().is_multiple_of(size) {
                return Err(span.fault(span.data.len(), "whole elements of the array"));
            }
            let starts = (0..span.data.len()).step_by(size);
            starts
                .map(|start| self.value(element, span.slice(start, start + size), depth))
                .collect::<std::result::Result<_, _>>()?
        } else {
            let elements = Elements::new(span, layout.align)?;
            (0..elements.len())
                .map(|index| self.value(element, elements.get(index)?, depth))
                .collect::<std::result::Result<_, _>>()?
        };
        Ok(Value::Array(element.clone(), items))
    }

    fn dict_entry(
        &mut self,
        ty: &Type,
        entry: &(Type, Type),
        span: Span<'_>,
        depth: usize,
    ) -> std::result::Result<Value, Fault> {
        let both = [entry.0.clone(), entry.1.clone()];
        let mut values = self.members(ty, &both, span, depth)?.into_iter();
        match (values.next(), values.next()) {
            (Some(key), Some(value)) => Ok(Value::dict_entry(key, value)),
            _ => Err(span.fault(0, "a key and a value")),
        }
    }

    /// Reads the members of the tuple or entry type `ty`.
    fn members(
        &mut self,
        ty: &Type,
        members: &[Type],
        span: Span<'_>,
        depth: usize,
    ) -> std::result::Result<Vec<Value>, Fault> {
        let whole = ty.layout();
        if members.is_empty() {
            return unit(span).map(|()| Vec::new());
        }
        let layouts: Vec<Layout> = members.iter().map(Type::layout).collect();
        let last = layouts.len() - 1;
        let offsets = layouts[..last].iter().filter(|layout| layout.size.is_none()).count();
        let mut walk = Members::new(span, offsets)?;
        let mut values = Vec::with_capacity(members.len());
        for (member, layout) in members.iter().zip(&layouts).take(last) {
            let part = match layout.size {
                Some(size) => walk.fixed(layout.align, size)?,
                None => walk.framed(layout.align)?,
            };
            values.push(self.value(member, part, depth)?);
        }
        let Layout { align, size } = layouts[last];
        let Some(size) = size else {
            values.push(self.value(&members[last], walk.last(align)?, depth)?);
            return Ok(values);
        };
        values.push(self.value(&members[last], walk.fixed(align, size)?, depth)?);
        match whole.size {
            Some(_) => walk.finish_padded(whole.align)?,
            None => walk.finish()?,
        }
        Ok(values)
    }
}

fn fixed<const N: usize>(span: Span<'_>) -> std::result::Result<[u8; N], Fault> {
    span.data.try_into().map_err(|_| span.fault(0, "a number of the right size"))
}

fn unit(span: Span<'_>) -> std::result::Result<(), Fault> {
    if span.data == [0] { Ok(()) } else { Err(span.fault(0, "one zero byte for ()")) }
}

/// Tells whether `path` is a D-Bus object path.
pub(crate) fn is_object_path(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            })
        })
}
