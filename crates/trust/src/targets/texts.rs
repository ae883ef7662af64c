use std::fmt::{Debug, Display};

use trefoil_delta::{DeltaName, index_name, index_path};
use trefoil_fetch::{CookieJar, fuzzing, parse_netrc};
use trefoil_format::checksum::Checksum;
use trefoil_format::kargs::KernelArgs;
use trefoil_format::keyfile::KeyFile;
use trefoil_format::loader_entry::{LoaderEntry, LoaderEntryName};
use trefoil_format::name::{CollectionId, EntryName, RefName, Refspec, RemoteName};
use trefoil_repo::commit::{SkipList, StatOverrides};
use trefoil_repo::config::{RepoConfig, parse_size};
use trefoil_sysroot::boot::BootLink;
use trefoil_sysroot::{fuzzing as boot, origin, parse_name};

use super::Target;

pub const TARGET: Target = Target {
    name: "texts",
    formats: "key files (config, remotes, origins), loader entries and their names, kernel \
              arguments, os-release, syslinux.cfg, `ostree=`, statoverride and skip lists, told \
              paths, refspecs and other names, netrc, cookies, metalinks, mirror lists, HTTP dates",
    run,
};

fn run(bytes: &[u8]) {
    let _ = origin::parse("origin", bytes);
    let _ = KeyFile::parse_bytes(bytes);
    let _ = EntryName::from_bytes(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    key_file(text);
    boot_files(text);
    kernel_args(text);
    names(text);
    lists(text);
    remote(text);
}

/// Written and read again it is the same.
fn same<T: PartialEq + Debug + Display, E: Debug>(
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let value = read(text).ok()?;
    let written = value.to_string();
    let again = read(&written).expect("what was written can be read");
    assert_eq!(again, value, "written as {written:?}");
    Some(value)
}

fn key_file(text: &str) {
    let Ok(file) = KeyFile::parse(text) else { return };
    // As in GLib a carriage return that ends a line belongs to its end: one that is part of the
    // line, before it or where the text ends, is written as it is and lost when read again.
    if text.contains("\r\r\n") || text.ends_with('\r') {
        return;
    }
    let written = file.to_string();
    let again = KeyFile::parse(&written).expect("what was written can be read");
    assert_eq!(again.to_string(), written);
    let mut changed = file.clone();
    for group in file.groups() {
        for key in file.keys(group) {
            assert_eq!(again.raw(group, key), file.raw(group, key));
            let value = file.string(group, key);
            let _ = (file.bool(group, key), file.uint(group, key));
            let list = file.list(group, key);
            if let Some(value) = value
                && changed.set_string(group, key, &value).is_ok()
            {
                assert_eq!(changed.string(group, key), Some(value));
            }
            if let Some(list) = list
                && changed.set_list(group, key, &list).is_ok()
            {
                assert_eq!(changed.list(group, key), Some(list));
            }
        }
    }
    let written = changed.to_string();
    let again = KeyFile::parse(&written).expect("it holds what was set");
    assert_eq!(again.to_string(), written);
    let _ = RepoConfig::from_key_file(file);
}

fn boot_files(text: &str) {
    let entry = LoaderEntry::parse(text);
    let again = LoaderEntry::parse(&entry.to_string());
    assert_eq!(again.to_string(), entry.to_string());
    let _ = (entry.compare_by_version(&again), BootLink::of_entry(&entry));
    let _ = (boot::os_release(text), boot::syslinux(text));
    for line in text.lines() {
        if let Some(name) = LoaderEntryName::parse(line) {
            assert_eq!(LoaderEntryName::parse(&name.to_string()), Some(name));
        }
        if let Some(link) = BootLink::parse(line) {
            assert!(!link.path().contains("/../"), "{}", link.path());
        }
        if let Some((checksum, serial)) = parse_name(line) {
            assert!(parse_name(&format!("{checksum}.{serial}")).is_some());
        }
    }
}

/// The first line is what there is, the others are what is done with it.
fn kernel_args(text: &str) {
    let mut lines = text.lines();
    let mut args = KernelArgs::parse(lines.next().unwrap_or_default());
    for (at, line) in lines.enumerate() {
        match at % 6 {
            0 => args.append(line),
            1 => args.append_if_missing(line),
            2 => drop(args.replace(line)),
            3 => drop(args.delete(line)),
            4 => args.append_proc_cmdline(line),
            _ => drop(args.delete_key_entry(line)),
        }
    }
    // Arguments that were told one by one may have blanks in them and are several once written.
    let written = KernelArgs::parse(&args.to_string());
    let again = KernelArgs::parse(&written.to_string());
    assert_eq!(again.to_strings(), written.to_strings());
}

fn names(text: &str) {
    for line in text.lines() {
        let _ = same(line, Refspec::parse);
        let _ = (RefName::new(line), RemoteName::new(line), CollectionId::new(line));
        if let Ok(sum) = Checksum::from_hex(line) {
            assert_eq!(sum.to_hex(), line);
        }
        if let Ok(sum) = Checksum::from_base64(line) {
            assert_eq!(sum.to_base64(), line);
        }
        let _ = same(line, |line| line.parse::<DeltaName>());
        if let Some(name) = DeltaName::from_base64(line) {
            assert!(name.dir().starts_with("deltas/"));
        }
        if let Some((prefix, rest)) = line.split_at_checked(2)
            && let Some(sum) = index_name(prefix, rest)
        {
            assert_eq!(index_path(&sum), format!("delta-indexes/{prefix}/{rest}"));
        }
        let _ = parse_size(line);
    }
}

fn lists(text: &str) {
    let _ = (StatOverrides::parse(text), SkipList::parse(text));
    let lines: Vec<&str> = text.lines().collect();
    if let Some(count) = trefoil_repo::fuzzing::read_told(&lines) {
        assert!(count <= lines.len() as u64);
    }
}

fn remote(text: &str) {
    let _ = (parse_netrc(text), CookieJar::parse(text));
    for url in fuzzing::metalink(text).into_iter().flatten().chain(fuzzing::mirrors(text)) {
        assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
    }
    for line in text.lines() {
        let _ = fuzzing::http_date(line);
    }
}
