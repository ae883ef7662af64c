use trefoil_format::gvariant::{Metadata, Type, Value};

use super::{Target, exact};

pub const TARGET: Target = Target {
    name: "variants",
    formats: "GVariant of any type, type strings, the text form of `--add-metadata`",
    run,
};

/// A type, NUL, and bytes of that type; and the whole as text.
fn run(bytes: &[u8]) {
    if let Some(at) = bytes.iter().position(|byte| *byte == 0)
        && let Ok(name) = std::str::from_utf8(&bytes[..at])
        && let Ok(ty) = Type::parse(name)
    {
        assert_eq!(ty.to_string(), name);
        let value = exact(&bytes[at + 1..], |data| Value::parse(&ty, data), Value::to_bytes);
        if let Some(value) = value {
            assert_eq!(value.ty(), ty);
            printed(&value);
        }
    }
    if let Some(metadata) = exact(bytes, Metadata::parse, Metadata::to_bytes) {
        for (key, value) in metadata.iter() {
            assert!(metadata.get(key).is_some());
            printed(value);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(value) = Value::parse_text(text)
    {
        printed(&value);
    }
}

/// What is printed with its types is read as the same.
fn printed(value: &Value) {
    let _ = value.print(false);
    let text = value.print(true);
    let again = match Value::parse_text(&text) {
        Ok(again) => again,
        // As in GLib text nests less deep than bytes do: that a type is declared is a level.
        Err(e) if e.to_string().contains("too deeply") => return,
        Err(e) => panic!("printed, but cannot be read: {text}: {e}"),
    };
    assert_eq!(again.print(true), text);
    // The text has one sort of what is no number, the bytes have many.
    if !text.contains("nan") {
        assert_eq!(again.to_bytes(), value.to_bytes(), "printed, it is read otherwise: {text}");
    }
}
