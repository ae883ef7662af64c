//! The EFI system partition as a boot loader finds it: read by mtools, checked by `fsck.fat`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::super::disk;
use super::super::layout::Part;
use super::super::tool;
use crate::Result;

/// The directory of the boot loader.
pub const DIR: &str = "EFI/trefoil";
/// What `fsck.fat` says of a FAT that was not unmounted and has lost nothing: its dirty bit,
/// clusters that no name leads to, counts of free ones, copies of the table that differ.
const HARMLESS: [&str; 22] = [
    "fsck.fat ",
    "There are differences between boot sector and its backup.",
    "This is mostly harmless. Differences: (offset:original/backup)",
    "  65:01/00",
    "  Not automatically fixing this.",
    "Dirty bit is set. Fs was not properly unmounted and some data may be corrupt.",
    " Automatically removing dirty bit.",
    "  Automatically removing dirty bit.",
    "Reclaiming unconnected clusters.",
    "Reclaimed ",
    "Free cluster summary wrong (",
    "Free cluster summary uninitialized (",
    "  Auto-correcting.",
    "FATs differ but appear to be intact.",
    "  Using first FAT.",
    "  Automatically using first FAT.",
    "Orphaned long file name part \"grub.cfg.new\"",
    "Orphaned long file name part \"grub.cfg.old\"",
    "  Auto-deleting.",
    "Checking ",
    "Leaving filesystem unchanged.",
    "Unused cluster ",
];

/// The files in the partition that somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Esp {
    /// `grub.cfg`; `None` where there is none.
    pub config: Option<String>,
    /// All that a deploy has nothing to do with, by path.
    pub others: BTreeMap<&'static str, Vec<u8>>,
}

/// Reads the partition; nothing is repaired before.
pub fn read(file: &Path, part: &Part, others: &[&'static str]) -> Result<Esp> {
    let config = read_file(file, part, &format!("{DIR}/grub.cfg"))?;
    let mut esp = Esp { config: None, others: BTreeMap::new() };
    esp.config = config.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for path in others {
        let bytes = read_file(file, part, path)?;
        esp.others.insert(path, bytes.ok_or_else(|| format!("{path} is gone from the ESP"))?);
    }
    Ok(esp)
}

/// Puts a file into the partition.
pub fn write_file(disk: &Path, part: &Part, from: &Path, to: &str) -> Result<()> {
    let mut command = mtools("mcopy", disk, part);
    tool::must(command.arg(from).arg(format!("::{to}"))).map(drop)
}

/// Makes a directory in the partition.
pub fn make_dir(disk: &Path, part: &Part, path: &str) -> Result<()> {
    tool::must(mtools("mmd", disk, part).arg(format!("::{path}"))).map(drop)
}

fn read_file(disk: &Path, part: &Part, path: &str) -> Result<Option<Vec<u8>>> {
    let mut command = mtools("mcopy", disk, part);
    command.arg(format!("::{path}")).arg("-");
    let output = tool::output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() && said.is_empty() {
        true => Ok(Some(output.stdout)),
        false if said.contains("not found") => Ok(None),
        false => Err(tool::failure(&command, &output).into()),
    }
}

fn mtools(program: &str, disk: &Path, part: &Part) -> Command {
    let mut command = Command::new(program);
    command.env("MTOOLS_SKIP_CHECK", "1");
    command.arg("-i").arg(format!("{}@@{}", disk.display(), part.offset));
    command
}

/// Has `fsck.fat` look at the partition. It may complain of the two files that only we read, and
/// of what every FAT has that was not unmounted.
pub fn check(disk: &Path, part: &Part) -> Result<()> {
    let output = disk::run_on(disk, part, &["fsck.fat", "-n"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match complaint(&said) {
        None => Ok(()),
        Some(line) => {
            Err(format!("the ESP is damaged: {line}: {}", said.trim().replace('\n', "; ")).into())
        }
    }
}

/// The first line about something that must not be damaged.
fn complaint(said: &str) -> Option<&str> {
    let mut of_ours = false;
    said.lines().find(|line| {
        if line.starts_with("/dev/") {
            return false;
        }
        if let Some(path) = line.strip_prefix('/') {
            let path = path.strip_suffix(" and").unwrap_or(path);
            // Short names are told in capitals.
            let is = |end| path.eq_ignore_ascii_case(&format!("{DIR}/grub.cfg.{end}"));
            of_ours = is("new") || is("old");
            return !of_ours;
        }
        let harmless = line.is_empty() || HARMLESS.iter().any(|start| line.starts_with(start));
        // What is indented is about the file above it.
        let is_detail = of_ours && line.starts_with(' ');
        of_ours &= is_detail;
        !harmless && !is_detail
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards what counts as damage in the words of `fsck.fat`: what is wrong with `grub.cfg` and
    /// files of others, not what is wrong with the two that a deploy was about to write.
    #[test]
    fn only_what_boots_counts_as_damaged() {
        let head = "fsck.fat 4.2 (2021-01-31)\nDirty bit is set. Fs was not properly unmounted and \
                    some data may be corrupt.\n Automatically removing dirty bit.\n";
        let truncated = "  File size is 700 bytes, cluster chain length is 0 bytes.\n  Truncating \
                         file to 0 bytes.\n";
        let tail = "Leaving filesystem unchanged.\n/dev/loop1: 9 files, 1/2 clusters\n";
        let said = |path: &str, what: &str| format!("{head}{path}{what}{tail}");
        assert_eq!(complaint(&said("", "")), None);
        assert_eq!(complaint(&said("/EFI/TREFOIL/grub.cfg.new\n", truncated)), None);
        let config = said("/EFI/trefoil/grub.cfg\n", truncated);
        assert_eq!(complaint(&config), Some("/EFI/trefoil/grub.cfg"));
        let shared = "/EFI/trefoil/grub.cfg.new and\n/EFI/trefoil/grub.cfg\n  share clusters.\n";
        assert_eq!(complaint(&said(shared, "")), Some("/EFI/trefoil/grub.cfg"));
        assert_eq!(complaint(&said("Bad boot.\n", "")), Some("Bad boot."));
        assert_eq!(complaint(&said("", truncated)), truncated.lines().next());
    }
}
