use trefoil_format::keyfile::KeyFile;

use crate::{Result, SysrootError};

/// Highest number of tries libostree accepts.
const MOST_TRIES: u64 = 5;
const WORDS: [&str; 7] = ["auto", "none", "grub2", "syslinux", "uboot", "zipl", "aboot"];

/// The group `[sysroot]` of the repository's config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootSettings {
    /// `sysroot.bootloader`: `auto`, `none`, or the word for one boot loader.
    pub bootloader: String,
    /// `sysroot.bootprefix`: paths in entries begin with `/boot`.
    pub bootprefix: bool,
    /// `sysroot.boot-counting-tries`: boots before an entry counts as bad; 0 counts none.
    pub boot_counting_tries: u64,
    /// `sysroot.bls-append-except-default`: fields for every entry but the default one.
    pub append_except_default: Vec<(String, String)>,
    /// `sysroot.readonly`: the root of the booted system mounts `/sysroot` read-only.
    pub readonly: bool,
}

impl BootSettings {
    /// Reads the settings; the defaults are libostree's.
    pub fn from_config(config: &KeyFile) -> Result<BootSettings> {
        let bootloader = config.string("sysroot", "bootloader").unwrap_or_else(|| "auto".into());
        if !WORDS.contains(&bootloader.as_str()) {
            return Err(setting(
                "sysroot.bootloader",
                format!("Invalid bootloader configuration: '{bootloader}'"),
            ));
        }
        Ok(BootSettings {
            bootloader,
            bootprefix: flag(config, "bootprefix", "sysroot.bootprefix")?,
            boot_counting_tries: tries(config)?,
            append_except_default: appended(config)?,
            readonly: flag(config, "readonly", "sysroot.readonly")?,
        })
    }

    /// What comes before `ostree/...` in the paths of entries.
    pub fn path_prefix(&self) -> &'static str {
        if self.bootprefix { "/boot/" } else { "/" }
    }
}

fn setting(key: &'static str, problem: String) -> SysrootError {
    SysrootError::Setting { key, problem }
}

fn flag(config: &KeyFile, key: &str, name: &'static str) -> Result<bool> {
    match config.bool("sysroot", key) {
        None => Ok(false),
        Some(value) => value.map_err(|e| setting(name, e.to_string())),
    }
}

fn tries(config: &KeyFile) -> Result<u64> {
    match config.uint("sysroot", "boot-counting-tries") {
        None => Ok(0),
        Some(Ok(n)) if n <= MOST_TRIES => Ok(n),
        Some(_) => {
            let problem = format!("not a number between 0 and {MOST_TRIES}");
            Err(setting("sysroot.boot-counting-tries", problem))
        }
    }
}

fn appended(config: &KeyFile) -> Result<Vec<(String, String)>> {
    let pairs = config.list("sysroot", "bls-append-except-default").unwrap_or_default();
    let split = |pair: String| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_string(), value.to_string())),
        None => Err(setting(
            "sysroot.bls-append-except-default",
            format!("'{pair}' is not of the form KEY=VALUE"),
        )),
    };
    pairs.into_iter().map(split).collect()
}
