//! Turns the tree into a value of a known type.

use super::number::number;
use super::parse::{Kind, Node};
use crate::error::{FormatError, Result};
use crate::gvariant::read::is_object_path;
use crate::gvariant::{Type, Value};

impl Node<'_> {
    /// Builds a value of type `ty`. A declaration inside has already had its say when `ty` was
    /// inferred; where it could not prevail GLib ignores it, and so does this.
    pub fn build(&self, ty: &Type) -> Result<Value> {
        match (&self.kind, ty) {
            (Kind::Typed(_, inner), _) => inner.build(ty),
            (Kind::Maybe(inner), Type::Maybe(content)) => {
                let inner = inner.as_ref().map(|inner| inner.build(content)).transpose()?;
                Ok(Value::Maybe((**content).clone(), inner.map(Box::new)))
            }
            (Kind::Maybe(_), _) => Err(self.mismatch(ty)),
            (_, Type::Maybe(content)) => {
                Ok(Value::Maybe((**content).clone(), Some(Box::new(self.build(content)?))))
            }
            (Kind::Number(text), _) => {
                number(text, ty, self.range).unwrap_or_else(|| Err(self.mismatch(ty)))
            }
            (Kind::Text(text), _) => self.build_text(text, ty),
            (kind, _) => self.build_plain(kind, ty),
        }
    }

    fn build_plain(&self, kind: &Kind<'_>, ty: &Type) -> Result<Value> {
        match (kind, ty) {
            (Kind::Bool(value), Type::Bool) => Ok(Value::Bool(*value)),
            (Kind::Bytes(bytes), Type::Array(element)) if **element == Type::Byte => {
                Ok(Value::Bytes(bytes.clone()))
            }
            (Kind::Variant(inner), Type::Variant) => Ok(inner.infer()?.variant()),
            (Kind::Array(items), Type::Array(element)) => {
                let items = items.iter().map(|item| item.build(element));
                Ok(Value::array((**element).clone(), items.collect::<Result<_>>()?))
            }
            (Kind::Tuple(members), Type::Tuple(types)) if members.len() == types.len() => {
                let members = members.iter().zip(types.iter()).map(|(node, ty)| node.build(ty));
                Ok(Value::Tuple(members.collect::<Result<_>>()?))
            }
            (Kind::Entry(entry), Type::DictEntry(types)) => build_entry(entry, types),
            (Kind::Dict(entries), Type::Array(element)) => match &**element {
                Type::DictEntry(types) => {
                    let items = entries.iter().map(|entry| build_entry(entry, types));
                    Ok(Value::Array((**element).clone(), items.collect::<Result<_>>()?))
                }
                _ => Err(self.mismatch(ty)),
            },
            _ => Err(self.mismatch(ty)),
        }
    }

    fn build_text(&self, text: &str, ty: &Type) -> Result<Value> {
        match ty {
            Type::Str => Ok(Value::Str(text.to_owned())),
            Type::ObjectPath if is_object_path(text) => Ok(Value::ObjectPath(text.to_owned())),
            Type::ObjectPath => Err(self.range.error("not a valid object path")),
            Type::Signature if Type::is_signature(text) => Ok(Value::Signature(text.to_owned())),
            Type::Signature => Err(self.range.error("not a valid signature")),
            _ => Err(self.mismatch(ty)),
        }
    }

    fn mismatch(&self, ty: &Type) -> FormatError {
        self.range.error(format!("can not parse as value of type '{ty}'"))
    }
}

fn build_entry(entry: &(Node<'_>, Node<'_>), types: &(Type, Type)) -> Result<Value> {
    Ok(Value::dict_entry(entry.0.build(&types.0)?, entry.1.build(&types.1)?))
}
