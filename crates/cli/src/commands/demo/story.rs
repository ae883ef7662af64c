//! The versions that are committed and deployed, and what the administrator does meanwhile.

use std::collections::BTreeMap;

use trefoil_fsat::Dir;
use trefoil_sysroot::spare::Trust;

use crate::commands::lab::edit::{Action, Edit};
use crate::commands::lab::scan::{below, spread};
use crate::commands::lab::source::Source;
use crate::error::Result;

/// Largest file in `/etc` that is edited here, in bytes.
const ETC_LIMIT: u64 = 1 << 20;

/// One version after the first.
#[derive(Debug)]
pub struct Version {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// How it differs from the one before.
    pub edits: Vec<Edit>,
    /// How far the spare is checked before it is converted.
    pub trust: Trust,
}

impl Version {
    /// The edits in words, by kind.
    pub fn summary(&self) -> String {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for edit in &self.edits {
            *kinds.entry(edit.action.word()).or_default() += 1;
        }
        let words: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        words.join(", ")
    }
}

/// Files of `/etc` that play a part, relative to it.
#[derive(Debug, Default)]
pub struct EtcRoles {
    /// Edited by the administrator and by version 4.
    pub conflict: Option<String>,
    /// Edited by the administrator alone.
    pub local: Option<String>,
    /// Removed by the administrator.
    pub removed: Option<String>,
    /// Edited by version 4 alone.
    pub default: Option<String>,
}

impl EtcRoles {
    /// Gives the roles to files of the tree, well known ones first.
    pub fn choose(source: &Source) -> EtcRoles {
        let small = source.etc_scan.files.iter().filter(|(_, size)| (1..4096).contains(size));
        let mut names: Vec<&str> = small.map(|(path, _)| path.trim_start_matches('/')).collect();
        let known = ["issue", "host.conf", "issue.net", "networks", "shells", "bash.bashrc"];
        names.sort_by_key(|name| known.iter().position(|k| k == name).unwrap_or(known.len()));
        let mut names = names.into_iter().map(str::to_string);
        EtcRoles {
            conflict: names.next(),
            local: names.next(),
            removed: names.next(),
            default: names.next(),
        }
    }

    /// Does in the `etc` of a deployment what an administrator would.
    pub fn edit_locally(&self, etc: &Dir) -> Result<()> {
        for path in [&self.conflict, &self.local].into_iter().flatten() {
            let (above, name) = path.rsplit_once('/').unwrap_or((".", path));
            let dir = if above == "." { etc.try_clone()? } else { etc.open_dir(above)? };
            let mode = dir.stat(name)?.mode;
            let mut content = dir.read(name, ETC_LIMIT)?;
            content.extend_from_slice(b"\n# edited by the administrator\n");
            dir.write(name, &content, mode)?;
        }
        if let Some(path) = &self.removed {
            etc.unlink(path)?;
        }
        Ok(etc.write("local.conf", b"# added by the administrator\n", 0o644)?)
    }

    /// The local edits in words.
    pub fn words(&self) -> String {
        let edited = [&self.conflict, &self.local].into_iter().flatten();
        let mut words: Vec<String> = edited.map(|path| format!("edited /etc/{path}")).collect();
        words.push("added /etc/local.conf".to_string());
        words.extend(self.removed.iter().map(|path| format!("removed /etc/{path}")));
        words.join(", ")
    }
}

/// The versions after the first, made of what the tree has.
pub fn versions(source: &Source, etc: &EtcRoles) -> Vec<Version> {
    let mut pick = Picker::new(source);
    let version = |name, about, edits, trust| Version { name, about, edits, trust };
    let second = [pick.edited(10), pick.added("2", 2), pick.removed(1)].concat();
    let third = [pick.edited(10), pick.odd(), pick.added("3", 1)].concat();
    let defaults = [&etc.conflict, &etc.default].into_iter().flatten();
    let defaults: Vec<Edit> =
        defaults.map(|path| edit(format!("usr/etc/{path}"), Action::Append)).collect();
    let fourth =
        [pick.edited(7), pick.added("4", 1), pick.removed(1), pick.odd(), defaults].concat();
    let fifth = [pick.edited(10), pick.removed(1)].concat();
    let sixth = pick.edited(1000);
    vec![
        version("2", "a small update", second, Trust::Stat),
        version("3", "mode, link, directory to file", third, Trust::Stat),
        version("4", "the same again, and defaults in /etc", fourth, Trust::Stat),
        version("5", "a small update, the spare taken on trust", fifth, Trust::None),
        version("6", "a large update", sixth, Trust::Stat),
    ]
}

fn edit(path: String, action: Action) -> Edit {
    Edit { path, action }
}

/// Hands out paths of the tree spread over all of it, each at most once.
struct Picker {
    files: Vec<String>,
    links: Vec<String>,
    leaves: Vec<String>,
    taken: usize,
}

impl Picker {
    fn new(source: &Source) -> Picker {
        let scan = &source.usr_scan;
        let docs = |leaf: &&String| leaf.starts_with("/share/") || leaf.starts_with("/lib/");
        let skipped = scan.skip_list();
        let whole = |leaf: &&String| !skipped.lines().any(|out| below(out, leaf));
        let leaves: Vec<String> =
            scan.leaves.iter().filter(docs).filter(whole).take(2).cloned().collect();
        let outside = |file: &String| !leaves.iter().any(|leaf| below(file, leaf));
        let files = spread(scan.editable().into_iter().filter(outside).collect());
        Picker { files, links: spread(scan.links.clone()), leaves, taken: 0 }
    }

    fn next_file(&mut self) -> Option<String> {
        let path = self.files.get(self.taken)?;
        self.taken += 1;
        Some(format!("usr{path}"))
    }

    fn some(&mut self, count: usize, action: &Action) -> Vec<Edit> {
        let next = |_| self.next_file().map(|path| edit(path, action.clone()));
        (0..count).map_while(next).collect()
    }

    fn edited(&mut self, count: usize) -> Vec<Edit> {
        self.some(count, &Action::Append)
    }

    fn removed(&mut self, count: usize) -> Vec<Edit> {
        self.some(count, &Action::Remove)
    }

    fn added(&mut self, version: &str, count: usize) -> Vec<Edit> {
        let new = |n| {
            let path = format!("usr/share/demo-{version}/file-{n}");
            edit(path, Action::Add(format!("new in version {version}\n").into_bytes()))
        };
        (0..count).map(new).collect()
    }

    /// A mode change, a symbolic link that leads elsewhere, a directory that becomes a file:
    /// whatever of it the tree has.
    fn odd(&mut self) -> Vec<Edit> {
        let mut edits = self.some(1, &Action::Chmod);
        let link = self.links.pop();
        let target = "/usr/bin/true".to_string();
        edits.extend(link.map(|path| edit(format!("usr{path}"), Action::Relink(target))));
        let leaf = self.leaves.pop();
        edits.extend(leaf.map(|path| edit(format!("usr{path}"), Action::DirToFile)));
        edits
    }
}
