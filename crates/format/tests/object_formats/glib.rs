//! Guards that bytes and texts of variants are those of GLib, which runs in `gjs`.

use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use trefoil_format::gvariant::{Type, Value};

use crate::mutations::{edited, edits};
use crate::tools::{have, run};
use crate::values::{types, values};

/// Between texts; printed values never hold it, and NUL would end the input for `gjs`.
const SEPARATOR: &str = "\x1e";

/// Reads texts from a file and prints for each: error, or type, bytes in hex and
/// both text forms, separated by form feeds.
const SCRIPT: &str = r#"
const { GLib, Gio } = imports.gi;
const ByteArray = imports.byteArray;
const [, raw] = GLib.file_get_contents(ARGV[0]);
for (const line of ByteArray.toString(raw).split('\x1e')) {
    let answer;
    try {
        const v = GLib.Variant.parse(null, line, null, null);
        const bytes = v.get_data_as_bytes().get_data() || [];
        const hex = Array.from(bytes, b => b.toString(16).padStart(2, '0')).join('');
        answer = ['ok', v.get_type_string(), hex, v.print(true), v.print(false)];
    } catch (e) {
        answer = ['error', e.message];
    }
    print(answer.join('\f'));
}
"#;

/// What GLib makes of a text.
enum Judgement {
    Value { ty: String, hex: String, annotated: String, plain: String },
    Error(String),
}

fn ask_glib(texts: &[String]) -> Vec<Judgement> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("texts");
    std::fs::write(&input, texts.join(SEPARATOR)).unwrap();
    let output = run(Command::new("gjs").arg("-c").arg(SCRIPT).arg(&input));
    let output = String::from_utf8(output).unwrap();
    let answers: Vec<Judgement> = output.lines().map(judgement).collect();
    assert_eq!(answers.len(), texts.len(), "one answer a text");
    answers
}

fn judgement(line: &str) -> Judgement {
    let mut parts = line.split('\x0c').map(str::to_owned);
    let mut next = || parts.next().expect("the script prints every part");
    match next().as_str() {
        "ok" => Judgement::Value { ty: next(), hex: next(), annotated: next(), plain: next() },
        _ => Judgement::Error(next()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn assert_same_as_glib(texts: &[String]) {
    for (text, judgement) in texts.iter().zip(ask_glib(texts)) {
        match (Value::parse_text(text), judgement) {
            (Ok(value), Judgement::Value { ty, hex: bytes, annotated, plain }) => {
                assert_eq!(value.ty().to_string(), ty, "type of {text}");
                assert_eq!(hex(&value.to_bytes()), bytes, "bytes of {text}");
                assert_eq!(value.print(true), annotated, "annotated form of {text}");
                assert_eq!(value.print(false), plain, "plain form of {text}");
            }
            (Err(error), Judgement::Error(message)) => {
                assert_eq!(error.to_string(), message, "error of {text:?}");
            }
            (ours, Judgement::Value { plain, .. }) => panic!("{text}: {ours:?}, GLib: {plain}"),
            (ours, Judgement::Error(message)) => panic!("{text}: {ours:?}, GLib: {message}"),
        }
    }
}

/// Guards the inference of types and the messages, on texts people write.
#[test]
fn texts_are_read_as_glib_reads_them() {
    if have("gjs", "texts_are_read_as_glib_reads_them") {
        let texts: Vec<String> = TEXTS.lines().chain(BEYOND_ASCII).map(str::to_owned).collect();
        assert_same_as_glib(&texts);
    }
}

/// Guards serialisation and both text forms on values of every type.
#[test]
fn random_values_are_serialised_and_printed_as_glib_does() {
    if !have("gjs", "random_values_are_serialised_and_printed_as_glib_does") {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let mut sample = || values().new_tree(&mut runner).expect("values exist").current();
    let values: Vec<Value> = (0..1500).map(|_| sample()).collect();
    let texts: Vec<String> = values.iter().map(|value| value.print(true)).collect();
    assert_same_as_glib(&texts);
    for (value, text) in values.iter().zip(&texts) {
        let bytes = value.to_bytes();
        assert_eq!(hex(&Value::parse_text(text).unwrap().to_bytes()), hex(&bytes), "{text}");
        let read = Value::parse(&value.ty(), &bytes).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read, *value, "{text}");
    }
}

/// Reads lines of a type and bytes in hex, and prints whether they are in normal form.
const NORMAL_FORM: &str = r#"
const { GLib } = imports.gi;
const ByteArray = imports.byteArray;
const [, raw] = GLib.file_get_contents(ARGV[0]);
for (const line of ByteArray.toString(raw).split('\n')) {
    const [type, hex] = line.split(' ');
    const bytes = new GLib.Bytes(Uint8Array.from(hex.match(/../g) || [], h => parseInt(h, 16)));
    const value = GLib.Variant.new_from_bytes(new GLib.VariantType(type), bytes, false);
    print(value.is_normal_form());
}
"#;

/// Guards that exactly the normal form is accepted, on values with a few bytes changed.
#[test]
fn normal_form_is_what_glib_says() {
    if !have("gjs", "normal_form_is_what_glib_says") {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let bytes = prop_oneof![
        3 => (values(), edits()).prop_map(|(v, edits)| (v.ty(), edited(v.to_bytes(), &edits))),
        1 => (types(), vec(prop_oneof![any::<u8>(), 0..4_u8], 0..12)),
    ];
    let mut sample = || bytes.new_tree(&mut runner).expect("values exist").current();
    let inputs: Vec<(Type, Vec<u8>)> = (0..4000).map(|_| sample()).collect();
    let lines: Vec<String> = inputs.iter().map(|(ty, b)| format!("{ty} {}", hex(b))).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("inputs");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let output = run(Command::new("gjs").arg("-c").arg(NORMAL_FORM).arg(&file));
    let output = String::from_utf8(output).unwrap();
    let mut refused = 0;
    for ((line, answer), (ty, bytes)) in lines.iter().zip(output.lines()).zip(&inputs) {
        let ours = Value::parse(ty, bytes);
        assert_eq!(ours.is_ok().to_string(), answer, "{line}: {ours:?}");
        refused += usize::from(ours.is_err());
    }
    assert_eq!(output.lines().count(), inputs.len());
    assert!((500..3500).contains(&refused), "both answers occur often: {refused}");
}

/// Guards what counts as printable. Our tables are newer than those of GLib 2.74.
#[test]
fn characters_are_escaped_as_in_glib() {
    if !have("gjs", "characters_are_escaped_as_in_glib") {
        return;
    }
    let chars = (1..0x3_0000).filter_map(char::from_u32).step_by(7);
    let texts: Vec<String> = chars
        .filter(|c| *c as u32 <= 0x2fff || *c as u32 >= 0xa000)
        .map(|c| format!("'{}'", if matches!(c, '\'' | '\\') { 'x' } else { c }))
        .collect();
    let mut different = Vec::new();
    for (text, judgement) in texts.iter().zip(ask_glib(&texts)) {
        if let Judgement::Value { plain, .. } = judgement {
            let ours = Value::parse_text(text).unwrap().print(false);
            if ours != plain {
                different.push((ours, plain));
            }
        }
    }
    // Newer tables know more characters: the only difference allowed is that GLib escapes one.
    different.retain(|(ours, glib)| ours.starts_with("'\\") || !glib.starts_with("'\\"));
    assert_eq!(different, [], "(ours, GLib)");
}

/// Guards numbers that carry when rounded, and the switch to an exponent.
#[test]
fn doubles_print_like_c() {
    let table = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1, "0.10000000000000001"),
        (1e16, "10000000000000000.0"),
        (1e17, "1e+17"),
        (123_456_789.125, "123456789.125"),
        (0.0001, "0.0001"),
        (0.00001, "1.0000000000000001e-05"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "4.9406564584124654e-324"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ];
    for (number, text) in table {
        assert_eq!(Value::Double(number).print(true), text);
    }
}

/// Guards the limit on nesting in text, types and bytes: an error, not a crash.
#[test]
fn deep_nesting_is_refused() {
    let deep =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    assert!(Value::parse_text(&deep("[", "]", 100)).is_ok());
    for (open, close) in [("[", "]"), ("<", ">"), ("(", ",)"), ("just ", ""), ("{1:", "}")] {
        assert!(Value::parse_text(&deep(open, close, 100_000)).is_err(), "{open}");
    }
    assert!(Type::parse(&"a".repeat(50_000)).is_err());
    assert!(Type::parse(&format!("{}i", "a".repeat(200))).is_err());
    let mut bytes = vec![0];
    (0..100_000).for_each(|_| bytes.extend_from_slice(b"\0v"));
    assert!(Value::parse(&Type::Variant, &bytes).is_err());
}

const TEXTS: &str = include_str!("texts.txt");

const BEYOND_ASCII: [&str; 3] = [
    "'\u{e4}\u{f6}\u{fc} \u{20ac}'",
    "'\u{e4}\u{f6}\u{fc}\u{20ac} \u{1f600} \u{200d} \u{ad}'",
    "b'\u{e4}\u{f6}'",
];
