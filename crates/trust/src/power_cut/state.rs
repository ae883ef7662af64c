//! What a sysroot is, read from the disk by nobody's code but this: what boots, and which
//! commits the refs name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::trees::{Tree, difference, edited_etc, hash, scan};
use crate::Result;

/// The trees that there are, by the checksum of their commit.
pub type Known = BTreeMap<String, Tree>;

/// A boot entry and all that it leads to. It was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    title: String,
    version: String,
    /// Kernel arguments, without the one that leads to the deployment.
    pub kargs: Vec<String>,
    /// Commit of the deployment.
    pub commit: String,
    /// Which of the deployments of that commit it is.
    serial: String,
    origin: String,
    /// Its `/etc`.
    pub etc: Tree,
}

impl Boot {
    /// What the deployment is called.
    pub fn name(&self) -> String {
        format!("{}.{}", self.commit, self.serial)
    }
}

/// All that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What boots, the default first.
    pub boots: Vec<Boot>,
    /// The refs that people set.
    pub refs: BTreeMap<String, String>,
}

/// Reads the state.
///
/// # Errors
/// Anything that is missing, torn, or not as it was committed.
pub fn read(root: &Path, known: &Known) -> Result<State> {
    Ok(State { boots: read_boots(root, known)?, refs: read_refs(&root.join("ostree/repo/refs"))? })
}

fn text(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?)
}

fn link(path: &Path) -> Result<PathBuf> {
    Ok(fs::read_link(path).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// Reads what a boot loader would.
fn read_boots(root: &Path, known: &Known) -> Result<Vec<Boot>> {
    let loader = link(&root.join("boot/loader"))?;
    let entries = root.join("boot").join(loader).join("entries");
    let mut found = Vec::new();
    for entry in fs::read_dir(&entries).map_err(|e| format!("{}: {e}", entries.display()))? {
        let path = entry?.path();
        let boot = text(&path).and_then(|text| read_boot(root, &Entry::parse(&text)?, known));
        found.push(boot.map_err(|e| format!("boot entry {}: {e}", path.display()))?);
    }
    if found.is_empty() {
        return Err(format!("{} has no entry", entries.display()).into());
    }
    found.sort_by_key(|boot| std::cmp::Reverse(boot.version.parse::<u32>().unwrap_or(0)));
    Ok(found)
}

/// Reads what GRUB would of its configuration, in its order.
pub fn read_grub(root: &Path, config: &str, known: &Known) -> Result<Vec<Boot>> {
    let mut found = Vec::new();
    for menu in config.split("menuentry ").skip(1) {
        let (title, rest) = menu.split_once(" --class").ok_or("a menu entry without a title")?;
        let (body, _) = rest.split_once("\n}\n").ok_or("a menu entry is torn")?;
        let value = |key: &str| -> Result<&str> {
            let line = body.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            Ok(line.ok_or_else(|| format!("it has no {key}"))?)
        };
        let (linux, options) = value("linux")?.split_once(' ').ok_or("no arguments")?;
        let initrd = value("initrd")?;
        let entry = Entry { title, version: "", options, linux, initrd };
        let boot = read_boot(root, &entry, known);
        found.push(boot.map_err(|e| format!("GRUB's entry {title}: {e}"))?);
    }
    match found.is_empty() {
        true => Err("GRUB has no entry".into()),
        false => Ok(found),
    }
}

/// What a boot loader is told.
struct Entry<'a> {
    title: &'a str,
    version: &'a str,
    options: &'a str,
    linux: &'a str,
    initrd: &'a str,
}

impl Entry<'_> {
    fn parse(text: &str) -> Result<Entry<'_>> {
        let value = |key: &str| -> Result<&str> {
            let mut lines = text.lines();
            let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            Ok(line.ok_or_else(|| format!("it has no {key}"))?.trim())
        };
        Ok(Entry {
            title: value("title")?,
            version: value("version")?,
            options: value("options")?,
            linux: value("linux")?,
            initrd: value("initrd")?,
        })
    }
}

fn read_boot(root: &Path, entry: &Entry<'_>, known: &Known) -> Result<Boot> {
    let options = entry.options.split(' ');
    let (to, kargs): (Vec<_>, Vec<_>) =
        options.map(str::to_string).partition(|arg| arg.starts_with("ostree="));
    let [to] = to.as_slice() else { return Err(format!("it leads to {to:?}").into()) };
    let to = to.trim_start_matches("ostree=");
    // As the initramfs does: the sysroot is where the root file system is.
    let dir = follow(root, to)?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (commit, serial) = name.split_once('.').ok_or_else(|| format!("{to} leads to {name}"))?;
    let tree = known.get(commit).ok_or_else(|| format!("nobody committed {commit}"))?;
    let found = scan(&dir, &["etc", "var"])?;
    let wanted = tree.iter().filter(|(path, _)| path.as_str() != "var");
    let wanted = wanted.map(|(path, what)| (path.clone(), what.clone())).collect();
    if let Some(difference) = difference(&wanted, &found) {
        return Err(format!("deployment {name}: {difference}").into());
    }
    for (path, file) in [(entry.linux, "vmlinuz"), (entry.initrd, "initramfs.img")] {
        let of_tree = tree.iter().find(|(path, _)| path.ends_with(file)).map(|(_, what)| what);
        let of_boot = hash(&below_boot(root, path))?;
        if !of_tree.is_some_and(|what| what.ends_with(&of_boot)) {
            return Err(format!("{path} is not the {file} of the tree").into());
        }
    }
    let origin = text(&dir.with_file_name(format!("{name}.origin")))?;
    if !origin.contains("refspec=") {
        return Err(format!("the origin of {name} is `{origin}`").into());
    }
    let etc = scan(&dir.join("etc"), &[])?;
    if let Some(difference) = difference(&edited_etc(tree), &etc) {
        return Err(format!("deployment {name}: /etc: {difference}").into());
    }
    Ok(Boot {
        title: entry.title.to_string(),
        version: entry.version.to_string(),
        kargs,
        commit: commit.to_string(),
        serial: serial.to_string(),
        origin,
        etc,
    })
}

/// The directory of the deployment that boots by default, however whole it is.
pub fn default_deployment(root: &Path) -> Result<PathBuf> {
    let entries = root.join("boot").join(link(&root.join("boot/loader"))?).join("entries");
    let mut found = Vec::new();
    for entry in fs::read_dir(entries)? {
        let entry = text(&entry?.path())?;
        let word = |key: &str| {
            let mut lines = entry.lines();
            lines.find_map(|line| line.strip_prefix(key)).map(str::to_string)
        };
        let options = word("options ").unwrap_or_default();
        let to = options.split(' ').find_map(|arg| arg.strip_prefix("ostree="));
        let version = word("version ").and_then(|version| version.parse::<u32>().ok());
        found.push((version, to.map(str::to_string)));
    }
    match found.into_iter().max() {
        Some((_, Some(to))) => follow(root, &to),
        _ => Err("nothing boots".into()),
    }
}

/// The file that a boot loader takes, whether or not its paths begin with `/boot`.
fn below_boot(root: &Path, path: &str) -> PathBuf {
    let path = path.strip_prefix("/boot/").unwrap_or(path);
    root.join("boot").join(path.trim_start_matches('/'))
}

/// Follows the links of the sysroot to a deployment.
fn follow(root: &Path, path: &str) -> Result<PathBuf> {
    let path = root.join(path.trim_start_matches('/'));
    let dir = fs::canonicalize(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let inside = dir.starts_with(root.join("ostree/deploy")) && dir.is_dir();
    inside.then_some(()).ok_or_else(|| format!("{} is no deployment", dir.display()))?;
    Ok(dir)
}

/// Reads all refs, and keeps those that are not the programs' own.
fn read_refs(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for kind in ["heads", "remotes"] {
        collect_refs(&dir.join(kind), "", &mut found)?;
    }
    found.retain(|name, _| !name.starts_with("ostree/") && !name.starts_with("trefoil/"));
    Ok(found)
}

fn collect_refs(dir: &Path, prefix: &str, found: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect_refs(&entry.path(), &format!("{name}/"), found)?;
            continue;
        }
        let commit = text(&entry.path())?.trim_end().to_string();
        if commit.len() != 64 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("ref {name} is `{commit}`").into());
        }
        found.insert(name, commit);
    }
    Ok(())
}

impl State {
    /// Whether each half of it is that of the one or of the other.
    pub fn is_of(&self, old: &State, new: &State) -> Result<()> {
        if self.boots != old.boots && self.boots != new.boots {
            return Err(format!(
                "what boots is neither old nor new: {}",
                names(&self.boots).join(", ")
            )
            .into());
        }
        for (name, commit) in &self.refs {
            let of = |state: &State| state.refs.get(name) == Some(commit);
            if !of(old) && !of(new) {
                return Err(format!("ref {name} is neither old nor new: {commit}").into());
            }
        }
        let kept = |name: &&String| old.refs.contains_key(*name) && new.refs.contains_key(*name);
        match old.refs.keys().filter(kept).find(|name| !self.refs.contains_key(*name)) {
            Some(name) => Err(format!("ref {name} is gone").into()),
            None => Ok(()),
        }
    }
}

fn names(boots: &[Boot]) -> Vec<String> {
    let name = |boot: &Boot| format!("{} {:?}", boot.name(), boot.kargs);
    boots.iter().map(name).collect()
}
