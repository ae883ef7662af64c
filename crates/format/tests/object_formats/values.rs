//! Random types and values of them.

use proptest::collection::vec;
use proptest::prelude::*;
use trefoil_format::gvariant::{Type, Value};

/// Any type, nested a few times.
pub fn types() -> BoxedStrategy<Type> {
    let leaf = prop_oneof![8 => basic_types(), 1 => Just(Type::Variant)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::maybe),
            inner.clone().prop_map(Type::array),
            vec(inner.clone(), 0..4).prop_map(Type::tuple),
            (basic_types(), inner.clone()).prop_map(|(key, value)| Type::dict_entry(key, value)),
            (basic_types(), inner).prop_map(|(k, v)| Type::array(Type::dict_entry(k, v))),
        ]
    })
    .boxed()
}

fn basic_types() -> impl Strategy<Value = Type> + Clone {
    prop::sample::select(vec![
        Type::Bool,
        Type::Byte,
        Type::Int16,
        Type::Uint16,
        Type::Int32,
        Type::Uint32,
        Type::Int64,
        Type::Uint64,
        Type::Handle,
        Type::Double,
        Type::Str,
        Type::ObjectPath,
        Type::Signature,
    ])
}

/// Any value.
pub fn values() -> BoxedStrategy<Value> {
    types().prop_flat_map(|ty| values_of(&ty, 2)).boxed()
}

/// Values of a type; variants nest `depth` times.
pub fn values_of(ty: &Type, depth: u32) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Byte => any::<u8>().prop_map(Value::Byte).boxed(),
        Type::Int16 => any::<i16>().prop_map(Value::Int16).boxed(),
        Type::Uint16 => any::<u16>().prop_map(Value::Uint16).boxed(),
        Type::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
        Type::Uint32 => any::<u32>().prop_map(Value::Uint32).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        Type::Uint64 => any::<u64>().prop_map(Value::Uint64).boxed(),
        Type::Handle => any::<i32>().prop_map(Value::Handle).boxed(),
        Type::Double => doubles().prop_map(Value::Double).boxed(),
        Type::Str => texts().prop_map(Value::Str).boxed(),
        Type::ObjectPath => "/|(/[a-zA-Z0-9_]{1,5}){1,3}".prop_map(Value::ObjectPath).boxed(),
        Type::Signature => {
            "(a?[sgoybnqiuxthdv]|a\\{s\\(iv\\)\\}){0,4}".prop_map(Value::Signature).boxed()
        }
        Type::Variant if depth == 0 => any::<i32>().prop_map(|n| Value::Int32(n).variant()).boxed(),
        Type::Variant => types()
            .prop_flat_map(move |ty| values_of(&ty, depth - 1).prop_map(Value::variant))
            .boxed(),
        Type::Maybe(content) => {
            let ty = (**content).clone();
            prop::option::of(values_of(content, depth))
                .prop_map(move |inner| Value::Maybe(ty.clone(), inner.map(Box::new)))
                .boxed()
        }
        Type::Array(element) if **element == Type::Byte => byte_arrays(),
        Type::Array(element) => {
            let ty = (**element).clone();
            vec(values_of(element, depth), 0..5)
                .prop_map(move |items| Value::Array(ty.clone(), items))
                .boxed()
        }
        Type::Tuple(members) => members
            .iter()
            .map(|member| values_of(member, depth))
            .collect::<Vec<_>>()
            .prop_map(Value::Tuple)
            .boxed(),
        Type::DictEntry(entry) => (values_of(&entry.0, depth), values_of(&entry.1, depth))
            .prop_map(|(key, value)| Value::dict_entry(key, value))
            .boxed(),
    }
}

/// Numbers that C's `strtod` reads back without complaint, which leaves out the smallest.
fn doubles() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, ZERO};
    let round = (any::<i32>(), -8..8_i32).prop_map(|(n, e)| f64::from(n) * 10_f64.powi(e));
    prop_oneof![POSITIVE | NEGATIVE | NORMAL | ZERO | INFINITE, round]
}

/// Text with quotes, controls and characters of several planes, but no NUL. Only characters
/// that have long been assigned: newer ones GLib prints as escapes.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z'\"\\\\ \n\t\x07\x1b-]{0,12}",
        "[\u{1}-\u{24f}\u{2000}-\u{206f}\u{430}-\u{44f}\u{4e00}-\u{9fa5}\u{e000}\u{fdd0}\u{feff}\u{fffe}\u{1f600}-\u{1f60f}\u{e0001}\u{10ffff}]{0,8}",
        // Long enough for offsets of two bytes.
        "[a-z]{200,400}",
    ]
}

fn byte_arrays() -> BoxedStrategy<Value> {
    let c_string = vec(1_u8.., 0..12).prop_map(|mut bytes| {
        bytes.push(0);
        bytes
    });
    prop_oneof![vec(any::<u8>(), 0..12), c_string].prop_map(Value::Bytes).boxed()
}
