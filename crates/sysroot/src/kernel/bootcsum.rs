use std::io::Read;

use trefoil_format::checksum::{Checksum, Hasher};
use trefoil_fsat::Dir;
use trefoil_repo::Repo;

use crate::{Result, SysrootError};

const DIR: &str = "trefoil";
const FILE: &str = "bootcsum";
const FIRST_LINE: &str = "trefoil bootcsum 1\n";
/// More lines than any machine has kernels.
const MOST_LINES: usize = 32;
const LIMIT: u64 = 64 * 1024;
const CHUNK: usize = 128 * 1024;

/// Known bootcsums by the objects they were computed from, kept in
/// `ostree/trefoil/bootcsum`.
///
/// A text file: a first line, then one line `KEY BOOTCSUM` each, then the checksum of all
/// before it. One that does not check is taken for empty: a wrong bootcsum could name the
/// directory of another kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct BootcsumCache {
    lines: Vec<(Checksum, Checksum)>,
    changed: bool,
}

impl BootcsumCache {
    /// Reads the file below `ostree`; empty where there is none or it is damaged.
    pub(crate) fn load(ostree: &Dir) -> Result<BootcsumCache> {
        let bytes = ostree.read_opt(format!("{DIR}/{FILE}"), LIMIT)?;
        let lines = bytes.as_deref().and_then(parse).unwrap_or_default();
        Ok(BootcsumCache { lines, changed: false })
    }

    /// Writes the file, if anything is new. Not durable: it can be computed again.
    pub(crate) fn save(&self, ostree: &Dir) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let excess = self.lines.len().saturating_sub(MOST_LINES);
        ostree.ensure_dir(DIR, 0o755)?;
        let text = print(&self.lines[excess..]);
        Ok(ostree.open_dir(DIR)?.write(FILE, text.as_bytes(), 0o644)?)
    }

    /// The checksum of the content of all these file objects, one after the other.
    pub(crate) fn get_or_hash(&mut self, repo: &Repo, objects: &[Checksum]) -> Result<Checksum> {
        let mut key = Hasher::new();
        objects.iter().for_each(|object| key.update(object.as_bytes()));
        let key = key.finish();
        if let Some((_, known)) = self.lines.iter().find(|(k, _)| *k == key) {
            return Ok(*known);
        }
        let bootcsum = hash(repo, objects)?;
        self.lines.push((key, bootcsum));
        self.changed = true;
        Ok(bootcsum)
    }
}

fn hash(repo: &Repo, objects: &[Checksum]) -> Result<Checksum> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK];
    for object in objects {
        let mut reader = repo.load_file(object)?.content;
        loop {
            let n = reader.read(&mut buffer).map_err(|e| {
                let what = format!("reading object {object} of the kernel failed: {e}");
                SysrootError::State(what)
            })?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
    }
    Ok(hasher.finish())
}

pub(crate) fn print(lines: &[(Checksum, Checksum)]) -> String {
    let mut text = FIRST_LINE.to_string();
    for (key, bootcsum) in lines {
        text.push_str(&format!("{key} {bootcsum}\n"));
    }
    let sum = Checksum::of(text.as_bytes());
    text.push_str(&format!("{sum}\n"));
    text
}

pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<(Checksum, Checksum)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let end = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (body, sum) = text.split_at(end);
    if Checksum::from_hex(sum.trim_end()).ok()? != Checksum::of(body.as_bytes()) {
        return None;
    }
    let line = |line: &str| {
        let (key, bootcsum) = line.split_once(' ')?;
        Some((Checksum::from_hex(key).ok()?, Checksum::from_hex(bootcsum).ok()?))
    };
    body.strip_prefix(FIRST_LINE)?.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: a damaged cache is never believed.
    #[test]
    fn only_whole_caches_count() {
        let lines = vec![
            (Checksum::of(b"a"), Checksum::of(b"b")),
            (Checksum::of(b"c"), Checksum::of(b"d")),
        ];
        let text = print(&lines);
        assert_eq!(parse(text.as_bytes()), Some(lines));
        assert_eq!(parse(print(&[]).as_bytes()), Some(Vec::new()));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(parse(&bytes), None, "byte {at}");
            assert_eq!(parse(&text.as_bytes()[..at]), None, "cut at {at}");
        }
    }
}
