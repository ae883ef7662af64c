//! The expectations of libostree's own kernel argument tests, and properties on any text.

use proptest::prelude::*;

use super::{KernelArgs, KernelArgsError};

fn changed(start: &str, change: impl Fn(&mut KernelArgs) -> Result<(), KernelArgsError>) -> String {
    let mut args = KernelArgs::parse(start);
    match change(&mut args) {
        Ok(()) => args.to_string(),
        Err(error) => {
            assert_eq!(args, KernelArgs::parse(start), "a failed change left traces");
            format!("error: {error}")
        }
    }
}

/// Guards quotes: they keep spaces, stay in the text, and may miss their end.
#[test]
fn splits_at_spaces_outside_quotes() {
    for (text, expected) in [
        ("", &[] as &[&str]),
        ("  a  b=1   c=  ", &["a", "b=1", "c="]),
        (r#"root=UUID=abc p="with spaces" rw"#, &["root=UUID=abc", r#"p="with spaces""#, "rw"]),
        (r#"quiet "p=with spaces" rw"#, &["quiet", r#""p=with spaces""#, "rw"]),
        (r#"a="1 2" b="3 4""#, &[r#"a="1 2""#, r#"b="3 4""#]),
        (r#"a b="open to the end "#, &["a", r#"b="open to the end "#]),
        ("a\tb c", &["a\tb", "c"]),
    ] {
        assert_eq!(KernelArgs::parse(text).to_strings(), expected, "{text:?}");
    }
}

/// Guards order and the difference between no value and an empty one.
#[test]
fn appends_in_order() {
    let mut args = KernelArgs::parse("test=valid");
    args.append("test");
    args.append_all(["test=", r#"second=0 second="1 2""#]);
    assert_eq!(args.to_string(), r#"test=valid test test= second=0 second="1 2""#);
    assert_eq!(args.get_last_value("test"), Some(""));
    assert_eq!(args.get_last_value("second"), Some(r#""1 2""#));
    assert_eq!(args.get_last_value("none"), None);
    assert_eq!(args.iter().nth(1), Some(("test", None)));
    assert!(!args.is_empty());
}

/// Guards that presence goes by key alone.
#[test]
fn appends_only_missing_keys() {
    let mut args = KernelArgs::parse("a=1 quiet");
    for arg in ["a=2", "quiet", "b=1", "b=2", "c"] {
        args.append_if_missing(arg);
    }
    assert_eq!(args.to_string(), "a=1 quiet b=1 c");
}

/// Guards deletion and its error texts.
#[test]
fn deletes() {
    for (start, arg, expected) in [
        ("a=1 b", "a", "b"),
        ("a=1 b", "a=1", "b"),
        ("a b", "a=1", "error: No karg 'a=1' found"),
        ("a=1 b", "a=2", "error: No karg 'a=2' found"),
        ("a=1 b", "a=", "error: No karg 'a=' found"),
        ("a=1 b", "x", "error: No key 'x' found"),
        ("a=1 b", "x=1", "error: No key 'x' found"),
        ("a=1 a=2 a= a", "a", "a=1 a=2 a="),
        ("a=1 a=2 a=", "a", "error: Multiple values for key 'a' found"),
        ("a=1 a=2 a=", "a=", "a=1 a=2"),
        ("a=1 a=2 a=", "a=3", "error: No karg 'a=3' found"),
        ("a=1 b a=1", "a=1", "b a=1"),
        ("n n", "n", "n"),
        (r#"f="1 2" b=0 c"#, r#"f="1 2" b=0"#, "c"),
        ("a=1 b", "a c", "error: No key 'c' found"),
    ] {
        assert_eq!(changed(start, |args| args.delete(arg)), expected, "{start:?} - {arg:?}");
    }
}

/// Guards that only a missing key is forgiven.
#[test]
fn deletes_if_present() {
    for (start, arg, expected) in [
        ("a=1", "b=1", "a=1"),
        ("a=1 b", "a=1", "b"),
        ("a=1", "a=2", "error: No karg 'a=2' found"),
        ("a=1 a=2", "a", "error: Multiple values for key 'a' found"),
    ] {
        assert_eq!(changed(start, |args| args.delete_if_present(arg)), expected);
    }
    assert_eq!(changed("a=1 b a a=2", |args| args.delete_key_entry("a")), "b");
    assert_eq!(changed("a", |args| args.delete_key_entry("b")), "error: No key 'b' found");
}

/// Guards the three forms of replacement and their error texts.
#[test]
fn replaces_values() {
    for (start, arg, expected) in [
        ("a b=1", "a=new", "a=new b=1"),
        ("a=1 b", "a", "a b"),
        ("a=1 b", "a=", "a= b"),
        ("a=1 a=2", "a=1=new", "a=new a=2"),
        ("a=1 a=2", "a=2=", "a=1 a="),
        ("a= a=2", "a==new", "a=new a=2"),
        ("a=1", "a=1=x=y", "a=x=y"),
        ("a=1 a=2", "a=new", "error: Multiple values for key 'a' found"),
        ("a", "a=old=new", "error: No karg 'a=old' found"),
        ("a", "b", "error: No key 'b' found"),
        (r#"f=1 b="1 2""#, r#"f="1 2" b"#, r#"f="1 2" b"#),
        ("a=1 b=1", "a=2 c=2", "error: No key 'c' found"),
    ] {
        assert_eq!(changed(start, |args| args.replace(arg)), expected, "{start:?} / {arg:?}");
    }
}

/// Guards that a replaced key keeps the place of its first argument.
#[test]
fn replaces_whole_keys() {
    let mut args = KernelArgs::parse("a=1 b a=2 c");
    args.replace_take("a=3");
    args.replace_take("ostree=/ostree/boot.0/os/abc/0");
    args.replace_take("c=4");
    assert_eq!(args.to_string(), "a=3 b c=4 ostree=/ostree/boot.0/os/abc/0");
}

/// Guards the filter for what the boot loader adds, and the line end of the kernel's file.
#[test]
fn takes_over_the_running_command_line() {
    let mut args = KernelArgs::parse("first");
    args.append_proc_cmdline(
        "BOOT_IMAGE=(hd0)/vmlinuz initrd=\\a.img root=x \"p=a b\" xinitrd=1 initrd rw \t\n",
    );
    assert_eq!(args.to_string(), "first root=x \"p=a b\" xinitrd=1 initrd rw");
}

proptest! {
    /// Guards that reading what was printed gives the same arguments, whatever the text.
    #[test]
    fn printed_arguments_read_back(text in r#"[ab=" \t\n]{0,40}|\PC{0,40}"#) {
        let args = KernelArgs::parse(&text);
        prop_assert_eq!(KernelArgs::parse(&args.to_string()), args.clone());
        prop_assert_eq!(args.to_strings().join(" "), args.to_string());
    }

    /// Guards that changes with any text neither panic nor leave traces when they fail.
    #[test]
    fn changes_are_whole(start in r#"[ab=" ]{0,20}"#, arg in r#"[ab=" ]{0,8}"#) {
        changed(&start, |args| args.delete(&arg));
        changed(&start, |args| args.delete_if_present(&arg));
        changed(&start, |args| args.replace(&arg));
        let mut args = KernelArgs::parse(&start);
        args.replace_take(&arg);
        args.append_proc_cmdline(&arg);
        args.append_if_missing(&arg);
        prop_assert!(args.contains(&arg));
    }
}
