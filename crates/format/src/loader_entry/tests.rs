//! Entries as libostree writes them, names with counters, version order, any text.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::{LoaderEntry, LoaderEntryName, version};

const WRITTEN: &str = "title Debian GNU/Linux 12 1.0 (ostree:0)\n\
    version 2\n\
    options root=LABEL=x quiet ostree=/ostree/boot.1/os/0/0\n\
    devicetree /ostree/os-0/dtb\n\
    linux /ostree/os-0/vmlinuz-6.1\n\
    initrd /ostree/os-0/initramfs-6.1.img\n\
    initrd /ostree/initramfs-overlays/a.img\n\
    initrd /ostree/initramfs-overlays/b.img\n\
    zz 1\n\
    aboot /x\n";

/// Guards that rewriting an entry of libostree changes no byte.
#[test]
fn reads_and_writes_what_libostree_writes() {
    let entry = LoaderEntry::parse(WRITTEN);
    assert_eq!(entry.to_string(), WRITTEN);
    assert_eq!(entry.get("version"), Some("2"));
    assert_eq!(entry.get("initrd"), Some("/ostree/os-0/initramfs-6.1.img"));
    assert_eq!(entry.overlay_initrds().len(), 2);
    assert_eq!(entry.extra_fields().collect::<Vec<_>>(), [("zz", "1"), ("aboot", "/x")]);
    assert_eq!(entry.iter().count(), 8);
}

/// Guards the lenient reader: blanks, tabs, repeats, lines that are no fields.
#[test]
fn reads_like_libostree() {
    let text = "title  a b\nversion\t3\n linux x\nkey\n#c d\n9x 1\nversion 4\nempty \noptions q\r";
    let entry = LoaderEntry::parse(text);
    assert_eq!(entry.to_string(), "title  a b\nversion 4\noptions q\r\nempty \n");
    assert_eq!(LoaderEntry::parse(""), LoaderEntry::default());
}

/// Guards the order of fields set one by one, and that no value can smuggle in a line.
#[test]
fn sets_and_removes_fields() {
    let mut entry = LoaderEntry::default();
    for (key, value) in
        [("zz", "1"), ("linux", "/k"), ("aboot", "2"), ("title", "a\nlinux /evil"), ("zz", "3")]
    {
        entry.set(key, value);
    }
    entry.set("initrd", "/i");
    entry.set_overlay_initrds(["/o1", "/o2"]);
    let expected =
        "title a linux /evil\nlinux /k\ninitrd /i\ninitrd /o1\ninitrd /o2\nzz 3\naboot 2\n";
    assert_eq!(entry.to_string(), expected);
    assert_eq!(LoaderEntry::parse(expected), entry);
    assert!(entry.remove("initrd") && entry.remove("aboot") && !entry.remove("aboot"));
    assert_eq!(entry.to_string(), "title a linux /evil\nlinux /k\nzz 3\n");
}

/// Guards names in both forms with and without counters, both ways.
#[test]
fn reads_and_prints_names() {
    for (name, index, stateroot, left, done) in [
        ("ostree-1.conf", 1, None, None, None),
        ("ostree-12+3.conf", 12, None, Some(3), None),
        ("ostree-2+2-1.conf", 2, None, Some(2), Some(1)),
        ("ostree-2+0-0.conf", 2, None, Some(0), Some(0)),
        ("ostree-1-fedora-coreos.conf", 1, Some("fedora-coreos"), None, None),
        ("ostree-1-a+b.conf", 1, Some("a+b"), None, None),
        ("ostree-1-a+b+3-2.conf", 1, Some("a+b"), Some(3), Some(2)),
    ] {
        let parsed = LoaderEntryName::parse(name).expect(name);
        let stateroot = stateroot.map(str::to_owned);
        let expected = LoaderEntryName { index, stateroot, tries_left: left, tries_done: done };
        assert_eq!(parsed, expected, "{name}");
        assert_eq!(parsed.to_string(), name);
    }
}

/// Guards that names of other programs, broken counters and signs are not taken for ours.
#[test]
fn refuses_other_names() {
    for name in [
        "ostree-.conf",
        "ostree-1",
        "fedora-1.conf",
        "ostree-a.conf",
        "ostree-+1.conf",
        "ostree-1-.conf",
        "ostree-1+.conf",
        "ostree-1+a.conf",
        "ostree-1+1-.conf",
        "ostree-1+-1.conf",
        "ostree-1++1.conf",
        "ostree-99999999999.conf",
        "ostree-1+99999999999999999999.conf",
        "0-loader.conf",
    ] {
        assert_eq!(LoaderEntryName::parse(name), None, "{name}");
    }
}

/// Guards the order of versions against results of glibc's strverscmp.
#[test]
fn compares_versions_like_glibc() {
    for (a, b, expected) in [
        ("000", "00", Ordering::Less),
        ("00", "01", Ordering::Less),
        ("01", "010", Ordering::Less),
        ("010", "09", Ordering::Less),
        ("09", "0", Ordering::Less),
        ("0", "9", Ordering::Less),
        ("9", "10", Ordering::Less),
        ("2", "10", Ordering::Less),
        ("a1", "a", Ordering::Greater),
        ("1", "01", Ordering::Greater),
        ("1a", "1b", Ordering::Less),
        ("item2", "item10", Ordering::Less),
        ("1.0", "1.0.1", Ordering::Less),
        ("", "1", Ordering::Less),
        ("a0", "ab", Ordering::Less),
        ("1\u{e9}", "1", Ordering::Greater),
        ("7", "7", Ordering::Equal),
    ] {
        assert_eq!(version::compare(a, b), expected, "{a:?} {b:?}");
        assert_eq!(version::compare(b, a), expected.reverse(), "{b:?} {a:?}");
    }
}

/// Guards that the default deployment comes first and entries without version last.
#[test]
fn sorts_by_descending_version() {
    let texts = ["title x\n", "version 2\n", "version 10\n", "version 1\n"];
    let mut entries: Vec<LoaderEntry> = texts.into_iter().map(LoaderEntry::parse).collect();
    entries.sort_by(LoaderEntry::compare_by_version);
    let versions: Vec<_> = entries.iter().map(|entry| entry.get("version")).collect();
    assert_eq!(versions, [Some("10"), Some("2"), Some("1"), None]);
}

proptest! {
    /// Guards that any text is read without panic and reads back the same once printed.
    #[test]
    fn printed_entries_read_back(text in "((title|initrd|linux|x|y)[ \t]?[a ]{0,3}\n){0,9}|(\\PC|\n){0,60}") {
        let entry = LoaderEntry::parse(&text);
        prop_assert_eq!(LoaderEntry::parse(&entry.to_string()), entry);
    }

    /// Guards that whatever name is accepted prints as a name with the same content.
    #[test]
    fn printed_names_read_back(name in "ostree-[0-9]{1,2}[-+0-9a]{0,9}\\.conf|\\PC{0,20}") {
        if let Some(parsed) = LoaderEntryName::parse(&name) {
            prop_assert_eq!(LoaderEntryName::parse(&parsed.to_string()), Some(parsed));
        }
    }

    /// Guards that the order is one: antisymmetric and transitive.
    #[test]
    fn version_order_is_total(a in "[019a.]{0,5}", b in "[019a.]{0,5}", c in "[019a.]{0,5}") {
        use version::compare;
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }
}
