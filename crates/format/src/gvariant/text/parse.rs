//! Builds the tree.

use super::Range;
use super::quoted::{bytestring, string};
use super::token::{Token, Tokens};
use crate::error::Result;
use crate::gvariant::{MAX_DEPTH, Type};

/// A part of the text that stands for a value of a type yet to be found.
#[derive(Debug)]
pub struct Node<'t> {
    pub kind: Kind<'t>,
    pub range: Range,
}

#[derive(Debug)]
pub enum Kind<'t> {
    Bool(bool),
    Number(&'t str),
    Text(String),
    Bytes(Vec<u8>),
    Maybe(Option<Box<Node<'t>>>),
    Array(Vec<Node<'t>>),
    Tuple(Vec<Node<'t>>),
    Dict(Vec<(Node<'t>, Node<'t>)>),
    Entry(Box<(Node<'t>, Node<'t>)>),
    Variant(Box<Node<'t>>),
    Typed(Type, Box<Node<'t>>),
}

pub fn parse(text: &str) -> Result<Node<'_>> {
    let mut tokens = Tokens::new(text);
    let node = value(&mut tokens, MAX_DEPTH)?;
    match tokens.peek() {
        Token { text: "", .. } => Ok(node),
        token => Err(token.unexpected("expected end of input")),
    }
}

fn value<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Node<'t>> {
    let token = tokens.peek();
    let depth =
        depth.checked_sub(1).ok_or_else(|| token.range.error("variant nested too deeply"))?;
    let kind = match token.text {
        "[" => array(tokens, depth)?,
        "(" => tuple(tokens, depth)?,
        "{" => dict(tokens, depth)?,
        "<" => variant(tokens, depth)?,
        "true" | "false" => Kind::Bool(tokens.next().text == "true"),
        text if token.is_number() => {
            tokens.next();
            Kind::Number(text)
        }
        text if text.starts_with(['n', 'j']) => maybe(tokens, depth)?,
        _ if token.is_bytestring() => Kind::Bytes(bytestring(tokens.next())?),
        _ if token.starts_with('@') || token.is_keyword() => typed(tokens, depth)?,
        text if text.starts_with(['\'', '"']) => Kind::Text(string(tokens.next())?),
        _ => return Err(token.unexpected("expected value")),
    };
    Ok(Node { kind, range: Range { start: token.range.start, end: tokens.position() } })
}

fn array<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Kind<'t>> {
    tokens.next();
    let mut items = Vec::new();
    while !tokens.take("]") {
        if !items.is_empty() {
            tokens.require(",", "expected ',' or ']' to follow array element")?;
        }
        items.push(value(tokens, depth)?);
    }
    Ok(Kind::Array(items))
}

/// A tuple of one member needs a comma behind it; longer ones must not end in one.
fn tuple<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Kind<'t>> {
    tokens.next();
    let mut members = Vec::new();
    while !tokens.take(")") {
        if members.len() > 1 {
            tokens.require(",", "expected ',' or ')' to follow tuple element")?;
        }
        members.push(value(tokens, depth)?);
        if members.len() == 1 {
            tokens.require(",", "expected ',' after first tuple element")?;
        }
    }
    Ok(Kind::Tuple(members))
}

/// `{k: v, ...}` is a dictionary, `{k, v}` a single entry.
fn dict<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Kind<'t>> {
    tokens.next();
    let mut entries = Vec::new();
    if tokens.take("}") {
        return Ok(Kind::Dict(entries));
    }
    let key = value(tokens, depth)?;
    if tokens.take(",") {
        let entry = Box::new((key, value(tokens, depth)?));
        tokens.require("}", "expected '}' at end of dictionary entry")?;
        return Ok(Kind::Entry(entry));
    }
    tokens.require(":", "expected ':' or ',' to follow dictionary entry key")?;
    entries.push((key, value(tokens, depth)?));
    while !tokens.take("}") {
        tokens.require(",", "expected ',' or '}' to follow dictionary entry")?;
        let key = value(tokens, depth)?;
        tokens.require(":", "expected ':' to follow dictionary entry key")?;
        entries.push((key, value(tokens, depth)?));
    }
    Ok(Kind::Dict(entries))
}

fn variant<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Kind<'t>> {
    tokens.next();
    let inner = value(tokens, depth)?;
    tokens.require(">", "expected '>' to follow variant value")?;
    Ok(Kind::Variant(Box::new(inner)))
}

fn maybe<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Kind<'t>> {
    let token = tokens.next();
    match token.text {
        "just" => Ok(Kind::Maybe(Some(Box::new(value(tokens, depth)?)))),
        "nothing" => Ok(Kind::Maybe(None)),
        _ => Err(token.range.error("unknown keyword")),
    }
}

/// `@TYPE VALUE`, or the name of a basic type and a value.
fn typed<'t>(tokens: &mut Tokens<'t>, depth: usize) -> Result<Kind<'t>> {
    let token = tokens.next();
    let ty = match token.text.strip_prefix('@') {
        Some(text) => declared(text, depth).map_err(|why| token.range.error(why))?,
        None => named(token.text).ok_or_else(|| token.range.error("unknown keyword"))?,
    };
    Ok(Kind::Typed(ty, Box::new(value(tokens, depth)?)))
}

fn declared(text: &str, depth: usize) -> std::result::Result<Type, &'static str> {
    match Type::parse(text) {
        Ok(ty) if ty.depth() > depth => Err("type declaration recurses too deeply"),
        Ok(ty) => Ok(ty),
        Err(_) if text.contains(['*', '?', 'r']) => Err("type declarations must be definite"),
        Err(_) => Err("invalid type declaration"),
    }
}

fn named(word: &str) -> Option<Type> {
    Some(match word {
        "boolean" => Type::Bool,
        "byte" => Type::Byte,
        "int16" => Type::Int16,
        "uint16" => Type::Uint16,
        "int32" => Type::Int32,
        "uint32" => Type::Uint32,
        "int64" => Type::Int64,
        "uint64" => Type::Uint64,
        "handle" => Type::Handle,
        "double" => Type::Double,
        "string" => Type::Str,
        "objectpath" => Type::ObjectPath,
        "signature" => Type::Signature,
        _ => return None,
    })
}
