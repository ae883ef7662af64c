//! The settings of a repository.

use std::time::Duration;

use trefoil_format::keyfile::KeyFile;

use crate::{RepoError, RepoMode, Result};

/// How long to wait for the repository lock where the config does not say.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);
const MIN_FREE_PERCENT: u64 = 3;
/// How long files of unknown origin may lie in `tmp`.
const TMP_EXPIRY: Duration = Duration::from_secs(86_400);

/// How much space of the file system a repository leaves free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinFreeSpace {
    /// `min-free-space-percent`: of all blocks.
    Percent(u64),
    /// `min-free-space-size`: in bytes, with the text of the setting.
    Size(u64, String),
}

/// The file `config` of a repository: the text as it stands, and the settings we act on.
#[derive(Clone, Debug)]
pub struct RepoConfig {
    /// The whole file, for settings that other parts read and for rewriting it.
    pub key_file: KeyFile,
    /// `core.mode`.
    pub mode: RepoMode,
    /// `core.parent`: path of a repository to look in for what this one lacks.
    pub parent: Option<String>,
    /// `core.collection-id`.
    pub collection_id: Option<String>,
    /// `core.fsync`: whether a transaction syncs before it takes effect.
    pub fsync: bool,
    /// `core.locking`.
    pub locking: bool,
    /// `core.lock-timeout-secs`; negative means without end.
    pub lock_timeout: Duration,
    /// `core.tmp-expiry-secs`: how old a file in `tmp` gets that no living transaction owns.
    pub tmp_expiry: Duration,
    /// `core.min-free-space-*`.
    pub min_free_space: MinFreeSpace,
    /// `archive.zlib-level`, 1 to 9.
    pub zlib_level: u32,
    /// `core.tombstone-commits`: deleting a commit leaves a tombstone.
    pub tombstone_commits: bool,
}

impl RepoConfig {
    /// The config of a new repository, as libostree writes it.
    pub fn for_new(mode: RepoMode, collection_id: Option<&str>) -> String {
        let mut text = format!("[core]\nrepo_version=1\nmode={}\n", mode.config_word());
        if let Some(id) = collection_id {
            text.push_str(&format!("collection-id={id}\n"));
        }
        text
    }

    /// Reads the settings out of `key_file`; the defaults are libostree's.
    pub fn from_key_file(key_file: KeyFile) -> Result<Self> {
        if key_file.raw("core", "repo_version") != Some("1") {
            let found = key_file.raw("core", "repo_version").unwrap_or("none");
            return Err(setting("core.repo_version", format!("'{found}', expected '1'")));
        }
        let word = key_file.raw("core", "mode").unwrap_or("bare");
        let mode = RepoMode::from_word(word).ok_or_else(|| {
            setting("core.mode", format!("Invalid mode '{word}' in repository configuration"))
        })?;
        let text = |key: &str| key_file.string("core", key).filter(|v| !v.is_empty());
        Ok(RepoConfig {
            mode,
            parent: text("parent"),
            collection_id: text("collection-id"),
            fsync: flag(&key_file, "core", "fsync", "core.fsync", true)?,
            locking: flag(&key_file, "core", "locking", "core.locking", true)?,
            lock_timeout: lock_timeout(&key_file)?,
            tmp_expiry: tmp_expiry(&key_file)?,
            min_free_space: min_free_space(&key_file)?,
            zlib_level: zlib_level(&key_file)?,
            tombstone_commits: flag(
                &key_file,
                "core",
                "tombstone-commits",
                "core.tombstone-commits",
                false,
            )?,
            key_file,
        })
    }
}

fn setting(key: &'static str, problem: String) -> RepoError {
    RepoError::Setting { key, problem }
}

fn flag(file: &KeyFile, group: &str, key: &str, name: &'static str, default: bool) -> Result<bool> {
    match file.bool(group, key) {
        None => Ok(default),
        Some(value) => value.map_err(|e| setting(name, e.to_string())),
    }
}

fn lock_timeout(file: &KeyFile) -> Result<Duration> {
    let Some(text) = file.raw("core", "lock-timeout-secs") else { return Ok(LOCK_TIMEOUT) };
    match text.parse::<i64>() {
        Ok(n) if n < 0 => Ok(Duration::MAX),
        Ok(n) => Ok(Duration::from_secs(n.unsigned_abs())),
        Err(_) => Err(setting("core.lock-timeout-secs", format!("'{text}' is no number"))),
    }
}

fn tmp_expiry(file: &KeyFile) -> Result<Duration> {
    let Some(text) = file.raw("core", "tmp-expiry-secs") else { return Ok(TMP_EXPIRY) };
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => Err(setting("core.tmp-expiry-secs", format!("'{text}' is no number"))),
    }
}

fn zlib_level(file: &KeyFile) -> Result<u32> {
    let Some(text) = file.raw("archive", "zlib-level") else { return Ok(6) };
    match text.parse() {
        Ok(n @ 1..=9) => Ok(n),
        _ => Err(setting("archive.zlib-level", format!("'{text}' is not between 1 and 9"))),
    }
}

fn min_free_space(file: &KeyFile) -> Result<MinFreeSpace> {
    if let Some(text) = file.raw("core", "min-free-space-size") {
        let bytes = parse_size(text).ok_or_else(|| {
            setting("core.min-free-space-size", format!("Invalid min-free-space-size '{text}'"))
        })?;
        return Ok(MinFreeSpace::Size(bytes, text.to_string()));
    }
    let Some(text) = file.raw("core", "min-free-space-percent") else {
        return Ok(MinFreeSpace::Percent(MIN_FREE_PERCENT));
    };
    match text.parse() {
        Ok(n @ 0..=99) => Ok(MinFreeSpace::Percent(n)),
        _ => Err(setting(
            "core.min-free-space-percent",
            format!("Invalid min-free-space-percent '{text}'"),
        )),
    }
}

/// A size as libostree takes it: digits and `MB`, `GB` or `TB`, of 1024 based units.
pub fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let shift = match unit {
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
