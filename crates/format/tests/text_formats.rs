//! Key files and loader entries against GLib and libostree, driven through gjs, and against
//! entries a real `ostree` deploys.

#![expect(clippy::disallowed_methods, reason = "tests look at files other programs wrote")]

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use trefoil_format::kargs::KernelArgs;
use trefoil_format::keyfile::KeyFile;
use trefoil_format::loader_entry::{LoaderEntry, LoaderEntryName};

const SAMPLES: usize = 600;

/// Reads N.in, writes N.out as GLib prints it and N.val with every value, or N.err.
const READ_KEY_FILES: &str = r#"
const {GLib} = imports.gi;
const [dir, count] = ARGV;
function attempt(f) { try { return encodeURIComponent(f()); } catch (e) { return '-'; } }
for (let i = 0; i < Number(count); i++) {
  const k = new GLib.KeyFile(), base = dir + '/' + i;
  const flags = GLib.KeyFileFlags.KEEP_COMMENTS | GLib.KeyFileFlags.KEEP_TRANSLATIONS;
  try { k.load_from_file(base + '.in', flags); }
  catch (e) { GLib.file_set_contents(base + '.err', e.message); continue; }
  GLib.file_set_contents(base + '.out', k.to_data()[0]);
  let values = '';
  for (const g of k.get_groups()[0]) for (const key of k.get_keys(g)[0]) {
    values += [encodeURIComponent(g), encodeURIComponent(key),
      attempt(() => k.get_value(g, key)), attempt(() => k.get_string(g, key)),
      attempt(() => k.get_boolean(g, key)),
      attempt(() => k.get_string_list(g, key).map(encodeURIComponent).join(';'))].join(' ') + '\n';
  }
  GLib.file_set_contents(base + '.val', values);
}"#;

/// Applies the changes in N.in, one a line, to an empty key file and writes N.out.
const CHANGE_KEY_FILES: &str = r#"
const {GLib} = imports.gi;
const [dir, count] = ARGV;
for (let i = 0; i < Number(count); i++) {
  const k = new GLib.KeyFile();
  const text = imports.byteArray.toString(GLib.file_get_contents(dir + '/' + i + '.in')[1]);
  for (const line of text.split('\n').filter(l => l)) {
    const [op, g, key, v] = line.split(' ').map(decodeURIComponent);
    try {
      if (op == 'raw') k.set_value(g, key, v);
      if (op == 'string') k.set_string(g, key, v);
      if (op == 'bool') k.set_boolean(g, key, v != '');
      if (op == 'list') k.set_string_list(g, key, v.split('|'));
      if (op == 'remove') k.remove_key(g, key);
      if (op == 'drop') k.remove_group(g);
    } catch (e) {}
  }
  GLib.file_set_contents(dir + '/' + i + '.out', k.to_data()[0]);
}"#;

/// Reads N.in and writes N.out with libostree's own entry parser.
const REWRITE_ENTRIES: &str = r#"
const {Gio, OSTree} = imports.gi;
const [dir, count] = ARGV;
for (let i = 0; i < Number(count); i++) {
  const b = OSTree.BootconfigParser.new(), file = s => Gio.File.new_for_path(dir + '/' + i + s);
  b.parse(file('.in'), null);
  b.write(file('.out'), null);
}"#;

/// Tells whether a tool for comparison is there; CI must have it.
fn available(tool: &str, probe: &[&str]) -> bool {
    let found = Command::new(tool).args(probe).output().is_ok_and(|out| out.status.success());
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(found || !ci, "{tool} {probe:?} is needed in CI");
    if !found {
        eprintln!("SKIPPED: {tool} {probe:?} does not work here");
    }
    found
}

/// Writes the inputs, lets gjs run over them and returns the folder with its answers.
fn answers(script: &str, inputs: &[String]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (index, input) in inputs.iter().enumerate() {
        fs::write(dir.path().join(format!("{index}.in")), input).expect("write input");
    }
    let out = Command::new("gjs")
        .args(["-c", script])
        .arg(dir.path())
        .arg(inputs.len().to_string())
        .output()
        .expect("run gjs");
    assert!(out.status.success(), "gjs: {}", String::from_utf8_lossy(&out.stderr));
    dir
}

fn answer(dir: &Path, index: usize, suffix: &str) -> Option<String> {
    fs::read_to_string(dir.join(format!("{index}.{suffix}"))).ok()
}

fn samples<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..SAMPLES).map(|_| strategy.new_tree(&mut runner).expect("sample").current()).collect()
}

/// The encoding of JavaScript's `encodeURIComponent`.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Checks one line of values as GLib gave them; `-` stands for an error of GLib, which our
/// strings and lists do not have.
fn check_values(file: &KeyFile, group: &str, key: &str, theirs: &str) {
    let ours = [
        encoded(group),
        encoded(key),
        encoded(file.raw(group, key).expect("present")),
        encoded(&file.string(group, key).expect("present")),
        file.bool(group, key).expect("present").map_or("-".to_owned(), |value| value.to_string()),
        encoded(
            &file
                .list(group, key)
                .expect("present")
                .iter()
                .map(|item| encoded(item))
                .collect::<Vec<_>>()
                .join(";"),
        ),
    ];
    for (at, (ours, theirs)) in ours.iter().zip(theirs.split(' ')).enumerate() {
        assert!(
            ours == theirs || (theirs == "-" && at != 4),
            "{group} {key} {at}: {ours} {theirs}"
        );
    }
}

/// Guards the reader and printer: GLib takes and refuses the same files, prints the same bytes
/// and gives the same values.
#[test]
fn key_files_read_like_glib() {
    if !available("gjs", &["-c", "imports.gi.GLib"]) {
        return;
    }
    let piece = prop::sample::select(vec![
        "[a]",
        "[b]",
        "[b] \t",
        " [a]",
        "[a b]",
        "#c",
        "  # c",
        "",
        " ",
        "x=1",
        " x = 2 ",
        "y[de@x]=3",
        "z=a;b\\;c",
        "z=;",
        "k=\\s\\n\\q",
        "k=\\",
        "b=true ",
        "b=0",
        "b=TRUE",
        "Encoding=utf-8",
        "Encoding=x",
        "=",
        "[",
        "]",
        "\r",
        "\t",
        "\u{e9}=\u{fc}",
        "l=\\sa;\\\\;",
        "\u{b}x=1",
        "p q=",
        "[a]x=1",
        "[a]]",
        "x[]=1",
        "a [b]=1",
        "\u{7f}=\u{7f}",
    ]);
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\n", "\n", "\r\n", ""]);
    let text = prop::collection::vec((piece, end), 0..8)
        .prop_map(|parts| parts.iter().map(|(piece, end)| format!("{piece}{end}")).collect());
    let mut inputs: Vec<String> = samples(text);
    for (index, input) in inputs.iter_mut().enumerate() {
        if index % 3 > 0 {
            input.insert_str(0, "[a]\n");
        }
    }
    let dir = answers(READ_KEY_FILES, &inputs);
    let mut valid = 0;
    for (index, input) in inputs.iter().enumerate() {
        let theirs = answer(dir.path(), index, "out").filter(|_| !input.is_empty());
        let Some(theirs) = theirs else {
            // GLib calls an empty file an error too; libostree never stores one.
            let error = answer(dir.path(), index, "err");
            assert!(input.is_empty() || KeyFile::parse(input).is_err(), "{input:?}: {error:?}");
            continue;
        };
        let ours = KeyFile::parse(input).unwrap_or_else(|error| panic!("{input:?}: {error}"));
        assert_eq!(ours.to_string(), theirs, "{input:?}");
        let values = answer(dir.path(), index, "val").expect("values");
        let names = ours.groups().flat_map(|group| ours.keys(group).map(move |key| (group, key)));
        let names: Vec<_> = names.collect();
        assert_eq!(names.len(), values.lines().count(), "{input:?}");
        for ((group, key), line) in names.into_iter().zip(values.lines()) {
            check_values(&ours, group, key, line);
        }
        valid += 1;
    }
    assert!(valid > SAMPLES / 4, "only {valid} samples were valid");
}

/// Guards the writer: the same changes give the same file as in GLib.
#[test]
fn key_files_change_like_glib() {
    if !available("gjs", &["-c", "imports.gi.GLib"]) {
        return;
    }
    let op =
        prop::sample::select(vec!["raw", "string", "string", "bool", "list", "remove", "drop"]);
    let group = prop::sample::select(vec!["a", "b", "remote \"c\""]);
    let key = prop::sample::select(vec!["x", "y", "long-key", "y[de]"]);
    let change = (op, group, key, "[a ;\\\\|\t]{0,6}|[^\0\n\r]{0,4}");
    let changes: Vec<Vec<_>> = samples(prop::collection::vec(change, 0..9));
    let line = |(op, group, key, value): &(&str, &str, &str, String)| {
        format!("{op} {} {} {}\n", encoded(group), encoded(key), encoded(value))
    };
    let inputs: Vec<String> =
        changes.iter().map(|changes| changes.iter().map(line).collect()).collect();
    let dir = answers(CHANGE_KEY_FILES, &inputs);
    for (index, changes) in changes.iter().enumerate() {
        let mut file = KeyFile::default();
        for (op, group, key, value) in changes {
            apply(&mut file, op, group, key, value);
        }
        let theirs = answer(dir.path(), index, "out").expect("answer");
        assert_eq!(file.to_string(), theirs, "{changes:?}");
    }
}

fn apply(file: &mut KeyFile, op: &str, group: &str, key: &str, value: &str) {
    match op {
        "raw" => file.set_raw(group, key, value).expect("fits"),
        "string" => file.set_string(group, key, value).expect("fits"),
        "bool" => file.set_bool(group, key, !value.is_empty()).expect("fits"),
        "list" => {
            let items: Vec<&str> = value.split('|').collect();
            file.set_list(group, key, &items).expect("fits");
        }
        "remove" => drop(file.remove_key(group, key)),
        _ => drop(file.remove_group(group)),
    }
}

/// Guards the entry parser: libostree writes the same bytes, but for the order of other fields,
/// and what it wrote comes back from us unchanged.
#[test]
fn entries_rewrite_like_libostree() {
    if !available("gjs", &["-c", "imports.gi.OSTree"]) {
        return;
    }
    let key = prop::sample::select(vec![
        "title",
        "version",
        "options",
        "devicetree",
        "linux",
        "initrd",
        "initrd",
        "initrd",
        "fdtdir",
        "x-a",
        "#c",
        " linux",
        "9",
        "",
    ]);
    let separator = prop::sample::select(vec![" ", " ", "\t", "  ", ""]);
    let line = (key, separator, "[a /=\t\r]{0,5}").prop_map(|(k, s, v)| format!("{k}{s}{v}"));
    let inputs: Vec<String> =
        samples(prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n")));
    let dir = answers(REWRITE_ENTRIES, &inputs);
    for (index, input) in inputs.iter().enumerate() {
        let theirs = answer(dir.path(), index, "out").expect("answer");
        assert_eq!(LoaderEntry::parse(&theirs).to_string(), theirs, "{input:?}");
        let ours = LoaderEntry::parse(input);
        if ours.extra_fields().count() < 2 {
            assert_eq!(ours.to_string(), theirs, "{input:?}");
        }
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.split('\n').map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ours.to_string()), sorted(&theirs), "{input:?}");
    }
}

/// Builds a sysroot with one stateroot and one commit in branch `os`.
const SYSROOT: &str = r#"
set -eu
cd "$1"
mkdir -p tree/usr/lib/modules/6.1 tree/usr/etc tree/usr/bin sysroot
echo kernel > tree/usr/lib/modules/6.1/vmlinuz
echo initramfs > tree/usr/lib/modules/6.1/initramfs.img
mkdir tree/usr/lib/modules/6.1/dtb
echo dtb > tree/usr/lib/modules/6.1/dtb/board.dtb
printf 'ID=test\nPRETTY_NAME="Test OS 1"\n' > tree/usr/lib/os-release
echo overlay > overlay.img
ostree admin init-fs sysroot
ostree admin --sysroot=sysroot os-init testos
ostree --repo=sysroot/ostree/repo config set sysroot.bootloader none
ostree --repo=sysroot/ostree/repo config set sysroot.bls-append-except-default 'x-extra=1'
ostree --repo=sysroot/ostree/repo commit -b os --tree=dir=tree --owner-uid=0 --owner-gid=0
"#;

fn ostree_admin(dir: &Path, args: &[&str]) {
    let out = Command::new("ostree")
        .arg("admin")
        .args(args)
        .arg(format!("--sysroot={}", dir.join("sysroot").display()))
        .env("OSTREE_SYSROOT_DEBUG", "mutable-deployments")
        .output()
        .expect("run ostree");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Reads all entries, checks that each survives rewriting, and returns them in our order.
fn deployed_entries(dir: &Path) -> Vec<LoaderEntry> {
    let mut entries = Vec::new();
    for item in fs::read_dir(dir.join("sysroot/boot/loader/entries")).expect("entries") {
        let path = item.expect("entry").path();
        let name = path.file_name().expect("name").to_str().expect("ASCII");
        assert_eq!(LoaderEntryName::parse(name).expect(name).to_string(), name);
        let text = fs::read_to_string(&path).expect("read entry");
        let entry = LoaderEntry::parse(&text);
        assert_eq!(entry.to_string(), text, "{name}");
        let options = entry.get("options").expect("options");
        assert_eq!(KernelArgs::parse(options).to_string(), options);
        entries.push(entry);
    }
    entries.sort_by(LoaderEntry::compare_by_version);
    entries
}

type Change = fn(&mut KernelArgs);

/// Guards entries, their names and kernel arguments against deployments of a real `ostree`.
#[test]
fn entries_match_real_deployments() {
    let root = "test $(id -u) = 0";
    if !available("ostree", &["--version"]) || !available("sh", &["-c", root]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let built = Command::new("sh").args(["-c", SYSROOT, "sh"]).arg(dir.path()).output();
    let built = built.expect("run sh");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let overlay = format!("--overlay-initrd={}", dir.path().join("overlay.img").display());
    let mut expected = KernelArgs::parse("root=LABEL=x quiet");
    let deploy = ["deploy", "--os=testos", "os", "--karg=root=LABEL=x", "--karg=quiet"];
    ostree_admin(dir.path(), &[&deploy[..], &[&overlay]].concat());
    let options = |dir: &Path| {
        let mut args = KernelArgs::parse(deployed_entries(dir)[0].get("options").expect("options"));
        args.delete_key_entry("ostree").expect("ostree= is there");
        args.to_string()
    };
    assert_eq!(options(dir.path()), expected.to_string());
    assert_eq!(deployed_entries(dir.path())[0].overlay_initrds().len(), 1);

    let steps: [(&str, Change); 4] = [
        ("--karg-append=quiet", |args| args.append("quiet")),
        ("--karg-append=c=1", |args| args.append("c=1")),
        ("--karg=quiet=2", |args| args.replace_take("quiet=2")),
        ("--karg-delete=c=1", |args| args.delete("c=1").expect("present")),
    ];
    for (option, change) in steps {
        ostree_admin(dir.path(), &["deploy", "--os=testos", "--no-prune", "os", option]);
        change(&mut expected);
        assert_eq!(options(dir.path()), expected.to_string(), "{option}");
    }

    let entries = deployed_entries(dir.path());
    assert!(entries.len() > 1);
    assert!(entries[0].get("title").expect("title").ends_with(":0)"));
    assert_eq!(entries[1].get("x-extra"), Some("1"));
}
