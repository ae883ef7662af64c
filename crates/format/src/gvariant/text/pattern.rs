//! What is known about a type before all of the text has been looked at.

use super::parse::{Kind, Node};
use crate::error::Result;
use crate::gvariant::Type;

#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// Any type: the element of `[]`, the content of `nothing`.
    Any,
    /// A numeric type, `i` unless something else says otherwise.
    Number,
    /// `s`, `o` or `g`, by default `s`.
    Text,
    /// A type without parts, or `v`.
    Exact(Type),
    Array(Box<Pattern>),
    Maybe(Box<Pattern>),
    Tuple(Vec<Pattern>),
    Entry(Box<(Pattern, Pattern)>),
    /// The pattern within any number of maybes, by default none.
    Loose(Box<Pattern>),
}

use Pattern::{Any, Array, Entry, Exact, Loose, Maybe, Number, Text, Tuple};

impl Pattern {
    fn of_type(ty: &Type) -> Self {
        match ty {
            Type::Array(element) => Array(Box::new(Self::of_type(element))),
            Type::Maybe(content) => Maybe(Box::new(Self::of_type(content))),
            Type::Tuple(members) => Tuple(members.iter().map(Self::of_type).collect()),
            Type::DictEntry(entry) => {
                Entry(Box::new((Self::of_type(&entry.0), Self::of_type(&entry.1))))
            }
            basic => Exact(basic.clone()),
        }
    }

    fn loose(self) -> Self {
        Loose(Box::new(self))
    }

    /// Returns the pattern both fit, if any.
    fn unify(self, other: Pattern) -> Option<Pattern> {
        Some(match (self, other) {
            (Any, known) | (known, Any) => known,
            (Loose(a), Loose(b)) => a.unify(*b)?.loose(),
            (Loose(a), Maybe(b)) | (Maybe(b), Loose(a)) => Maybe(Box::new(Loose(a).unify(*b)?)),
            (Loose(a), b) | (b, Loose(a)) => a.unify(b)?,
            (Number, Exact(ty)) | (Exact(ty), Number) if is_numeric(&ty) => Exact(ty),
            (Text, Exact(ty)) | (Exact(ty), Text) if is_text(&ty) => Exact(ty),
            (Array(a), Array(b)) => Array(Box::new(a.unify(*b)?)),
            (Maybe(a), Maybe(b)) => Maybe(Box::new(a.unify(*b)?)),
            (Tuple(a), Tuple(b)) if a.len() == b.len() => {
                Tuple(a.into_iter().zip(b).map(|(a, b)| a.unify(b)).collect::<Option<_>>()?)
            }
            (Entry(a), Entry(b)) => Entry(Box::new((a.0.unify(b.0)?, a.1.unify(b.1)?))),
            (a, b) if a == b => a,
            _ => return None,
        })
    }

    /// Chooses the default where something is still open; `None` if there is none.
    pub fn resolve(self) -> Option<Type> {
        Some(match self {
            Any => return None,
            Number => Type::Int32,
            Text => Type::Str,
            Exact(ty) => ty,
            Array(element) => Type::array(element.resolve()?),
            Maybe(content) => Type::maybe(content.resolve()?),
            Tuple(members) => {
                let members = members.into_iter().map(Self::resolve);
                Type::tuple(members.collect::<Option<Vec<_>>>()?)
            }
            Entry(entry) => Type::dict_entry(entry.0.resolve()?, entry.1.resolve()?),
            Loose(inner) => inner.resolve()?,
        })
    }
}

fn is_numeric(ty: &Type) -> bool {
    ty.is_basic() && !is_text(ty) && *ty != Type::Bool
}

fn is_text(ty: &Type) -> bool {
    matches!(ty, Type::Str | Type::ObjectPath | Type::Signature)
}

impl Node<'_> {
    pub fn pattern(&self) -> Result<Pattern> {
        Ok(match &self.kind {
            Kind::Bool(_) => Exact(Type::Bool).loose(),
            Kind::Number(text) if is_floating(text) => Exact(Type::Double).loose(),
            Kind::Number(_) => Number.loose(),
            Kind::Text(_) => Text.loose(),
            Kind::Bytes(_) => Array(Box::new(Exact(Type::Byte))).loose(),
            Kind::Variant(_) => Exact(Type::Variant).loose(),
            Kind::Maybe(None) => Maybe(Box::new(Any)),
            Kind::Maybe(Some(inner)) => Maybe(Box::new(inner.pattern()?)),
            Kind::Array(items) => Array(Box::new(common(items.iter())?)).loose(),
            Kind::Tuple(members) => {
                Tuple(members.iter().map(Node::pattern).collect::<Result<_>>()?).loose()
            }
            Kind::Entry(entry) => self.entry_pattern(std::slice::from_ref(&**entry))?.loose(),
            Kind::Dict(entries) => Array(Box::new(self.entry_pattern(entries)?)).loose(),
            Kind::Typed(ty, _) => Pattern::of_type(ty),
        })
    }

    /// All keys decide their type, but only the first value decides that of the values: so GLib
    /// reads `{1: 2, 3: uint32 4}` as an `a{ii}`.
    fn entry_pattern(&self, entries: &[(Node<'_>, Node<'_>)]) -> Result<Pattern> {
        let Some((_, first)) = entries.first() else { return Ok(Entry(Box::new((Any, Any)))) };
        let key = match common(entries.iter().map(|(key, _)| key))? {
            Loose(inner) => *inner,
            key => key,
        };
        match &key {
            Number | Text => {}
            Exact(ty) if ty.is_basic() => {}
            _ => return Err(self.range.error("dictionary keys must have basic types")),
        }
        Ok(Entry(Box::new((key, first.pattern()?))))
    }
}

/// Tells which numbers are doubles; `e` is also a hex digit.
fn is_floating(text: &str) -> bool {
    text.contains('.')
        || (!text.starts_with("0x") && text.contains('e'))
        || text.contains("inf")
        || text.contains("nan")
}

/// Returns the pattern all nodes fit.
fn common<'n>(nodes: impl Iterator<Item = &'n Node<'n>> + Clone) -> Result<Pattern> {
    let mut pattern = Any;
    for (index, node) in nodes.clone().enumerate() {
        let own = node.pattern()?;
        pattern = match pattern.unify(own.clone()) {
            Some(merged) => merged,
            None => return Err(conflict(nodes.take(index), node, &own)),
        };
    }
    Ok(pattern)
}

/// Names the first of the nodes before `node` that does not go with it.
fn conflict<'n>(
    mut before: impl Iterator<Item = &'n Node<'n>>,
    node: &Node<'_>,
    own: &Pattern,
) -> crate::error::FormatError {
    let culprit = before.find(|other| match other.pattern() {
        Ok(pattern) => pattern.unify(own.clone()).is_none(),
        Err(_) => false,
    });
    let first = culprit.map_or_else(String::new, |other| format!("{},", other.range));
    let why = "unable to find a common type".into();
    crate::error::FormatError::Text { at: format!("{first}{}", node.range), why }
}
