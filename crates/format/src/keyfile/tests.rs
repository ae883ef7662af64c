//! Values, changes and errors; GLib as judge stands in tests/text_formats.rs.

use proptest::prelude::*;

use super::{KeyFile, MAX_KEY_FILE_SIZE};

const CONFIG: &str = "# ours\n\n[core]\nrepo_version=1\nmode=bare\n\n[remote \"os\"]\n\
    url=https://example.org/repo\n# keep\ngpg-verify=false\n\n# about nothing\n";

/// Guards comments, blank lines and order across a rewrite with one change.
#[test]
fn keeps_everything_else() {
    let mut file = KeyFile::parse(CONFIG).expect("valid");
    assert_eq!(file.to_string(), CONFIG);
    file.set_string("core", "mode", "archive").expect("valid");
    file.set_bool("core", "fsync", false).expect("valid");
    file.set_list("new", "paths", &["/a", "/b;c"]).expect("valid");
    let expected = CONFIG.replace("mode=bare\n", "mode=archive\nfsync=false\n");
    assert_eq!(file.to_string(), format!("{expected}\n[new]\npaths=/a;/b\\;c;\n"));
}

/// Guards the blank line a new group gets where the file ends in a pair.
#[test]
fn sets_groups_apart() {
    let mut file = KeyFile::default();
    file.set_raw("a", "x", "1").expect("valid");
    file.set_raw("b", "y", "2").expect("valid");
    assert_eq!(file.to_string(), "[a]\nx=1\n\n[b]\ny=2\n");
    assert_eq!(KeyFile::parse("").expect("valid"), KeyFile::default());
}

/// Guards typed reading at its edges.
#[test]
fn reads_typed_values() {
    let text = "[g]\nt=true \nf=0\nbad=tru\nn=42\nneg=-1\nbig=18446744073709551616\n\
        s=\\s a\\tb\\\\ \\n\\x\\\nl=a;b\\;c;;d\nempty=\nt=1\n";
    let file = KeyFile::parse(text).expect("valid");
    assert_eq!(file.bool("g", "t"), Some(Ok(true)));
    assert_eq!(file.bool("g", "f"), Some(Ok(false)));
    assert!(file.bool("g", "bad").expect("present").is_err());
    assert_eq!(file.bool("g", "none"), None);
    assert_eq!(file.uint("g", "n"), Some(Ok(42)));
    assert!(file.uint("g", "neg").expect("present").is_err());
    assert!(file.uint("g", "big").expect("present").is_err());
    assert_eq!(file.string("g", "s").as_deref(), Some("  a\tb\\ \n\\x\\"));
    assert_eq!(file.list("g", "l").expect("present"), ["a", "b;c", "", "d"]);
    assert_eq!(file.list("g", "empty").expect("present"), [""; 0]);
    assert_eq!(file.raw("h", "t"), None);
    assert_eq!(file.keys("g").count(), 10);
}

/// Guards that a removed key does not come back through an earlier line of the same key.
#[test]
fn removes_keys_and_groups() {
    let mut file = KeyFile::parse("[a]\nx=1\nx=2\ny=3\n[b]\n").expect("valid");
    assert_eq!(file.raw("a", "x"), Some("2"));
    assert!(file.remove_key("a", "x") && !file.remove_key("a", "x"));
    assert!(!file.remove_key("none", "x"));
    assert!(file.remove_group("b") && !file.remove_group("b"));
    assert!(file.has_group("a") && !file.has_group("b"));
    assert_eq!(file.to_string(), "[a]\ny=3\n");
}

/// Guards line numbers and the inputs we refuse beyond GLib.
#[test]
fn refuses_broken_files() {
    for (text, line) in [
        ("x=1", 1),
        ("[a]\n\nnonsense\n", 3),
        ("[a]\r\nx=1\r\n=2", 3),
        ("[a\n", 1),
        ("[]", 1),
        ("[a]\n[b[]\n", 2),
        ("[a]\nx[!]=1", 2),
        ("[a]\nx y [de]=1", 2),
        ("[a]\nEncoding=latin1", 2),
        ("[a]\nx=\0", 2),
    ] {
        assert_eq!(KeyFile::parse(text).expect_err(text).line, line, "{text:?}");
    }
    let long = "#".repeat(MAX_KEY_FILE_SIZE + 1);
    let error = KeyFile::parse(&long).expect_err("too long");
    assert_eq!(error.to_string(), "key file: 1048577 bytes, more than 1048576");
    let error = KeyFile::parse_bytes(b"[a]\nx=\xff").expect_err("not UTF-8");
    assert_eq!(error.to_string(), "key file, line 2: not UTF-8");
}

/// Guards against input that makes reading slow: as many groups as fit.
#[test]
fn reads_many_groups_in_linear_time() {
    let text: String = (0..100_000).map(|n| format!("[{n}]\n")).collect();
    assert_eq!(KeyFile::parse(&text).expect("valid").groups().count(), 100_000);
}

/// Guards against names and values that would be read back as something else.
#[test]
fn refuses_to_set_what_cannot_be_read() {
    let mut file = KeyFile::default();
    for (group, key, value) in [
        ("", "k", "v"),
        ("a]", "k", "v"),
        ("a\n", "k", "v"),
        ("a", "", "v"),
        ("a", "k=", "v"),
        ("a", "#k", "v"),
        ("a", "k ", "v"),
        ("a", "\tk", "v"),
        ("a", "k\nl", "v"),
        ("a", "k", "v\n[b]"),
        ("a", "k", "v\0"),
    ] {
        assert!(file.set_raw(group, key, value).is_err(), "{group:?} {key:?} {value:?}");
    }
    assert_eq!(file, KeyFile::default());
}

proptest! {
    /// Guards that no text panics, and that printing settles after one round.
    #[test]
    fn printing_is_stable(text in "([\\[\\]=#ab;\\\\ \r\n]|\\PC){0,60}|(\\[[ab]\\]\n|[xy]=[a ]{0,3}\n|#\n|\n){0,12}") {
        // As in GLib, only one carriage return at the end of a line is dropped in each round.
        let without_returns = text.replace('\r', "");
        if let (Ok(_), Ok(file)) = (KeyFile::parse(&text), KeyFile::parse(&without_returns)) {
            let printed = file.to_string();
            let again = KeyFile::parse(&printed).expect("what we print is valid");
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    /// Guards that every string and list survives escaping, writing and reading.
    #[test]
    fn values_read_back(text in "[ \t\n\r\\\\;sa]{0,9}|[^\0]{0,9}", items in prop::collection::vec("[ \t\n\\\\;sa]{1,5}", 0..4)) {
        let mut file = KeyFile::default();
        file.set_string("g", "s", &text).expect("fits");
        file.set_list("g", "l", &items).expect("fits");
        let back = KeyFile::parse(&file.to_string()).expect("valid");
        prop_assert_eq!(back.string("g", "s"), Some(text));
        prop_assert_eq!(back.list("g", "l"), Some(items));
        prop_assert_eq!(back, file);
    }
}
