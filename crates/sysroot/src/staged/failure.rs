//! The record of a finalization that failed, left for the next boot.

use crate::{Result, Sysroot};

/// Below `boot`, where libostree has it.
const STAMP: &str = "finalize-failure.stamp";
/// Below `ostree`, for a `/boot` that cannot be written: that may be why it failed.
const OWN_DIR: &str = "trefoil";
/// Largest record we read.
const LIMIT: u64 = 1 << 16;

impl Sysroot {
    /// Leaves `text` for the next boot, durably.
    pub fn record_finalization_failure(&self, text: &str) -> Result<()> {
        let in_boot = || -> Result<()> {
            let boot = self.boot()?;
            boot.ensure_dir("ostree", 0o755)?;
            Ok(boot.open_dir("ostree")?.write_durable(STAMP, text.as_bytes(), 0o644)?)
        };
        if in_boot().is_ok() {
            return Ok(());
        }
        self.ostree().ensure_dir(OWN_DIR, 0o755)?;
        Ok(self.ostree().open_dir(OWN_DIR)?.write_durable(STAMP, text.as_bytes(), 0o644)?)
    }

    /// Why the last finalization failed, where it did and nobody has taken note since.
    pub fn finalization_failure(&self) -> Result<Option<String>> {
        let in_boot = match self.boot() {
            Ok(boot) => boot.read_opt(format!("ostree/{STAMP}"), LIMIT)?,
            Err(_) => None,
        };
        let bytes = match in_boot {
            Some(bytes) => Some(bytes),
            None => self.ostree().read_opt(format!("{OWN_DIR}/{STAMP}"), LIMIT)?,
        };
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Removes the record.
    pub fn clear_finalization_failure(&self) -> Result<()> {
        if let Ok(boot) = self.boot() {
            boot.unlink_opt(format!("ostree/{STAMP}"))?;
        }
        self.ostree().unlink_opt(format!("{OWN_DIR}/{STAMP}"))?;
        Ok(())
    }
}
