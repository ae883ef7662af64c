//! What a rig tried, kept from one run to the report.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;

/// What one rig did to one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What was run and on what: `deploy on ext4`, `dirtree`.
    pub subject: String,
    /// The program that was tried: `trefoil` or `ostree`.
    pub program: String,
    /// What is counted, and how many: `flush boundaries` 212, `write subsets` 400.
    pub tried: Vec<(String, u64)>,
    /// Tries after which something was lost, torn or needed help.
    pub lost: u64,
    /// The seed that gives the same tries again, where chance has a part.
    pub seed: Option<u64>,
}

/// All that one rig did in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The command that does it again.
    pub command: String,
    /// One entry for each subject.
    pub figures: Vec<Figure>,
}

/// Where the figures of the last runs lie.
fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/trust")
}

impl Run {
    /// Keeps the run as the last one of `rig`.
    pub fn save(&self, rig: &str) -> Result<()> {
        fs::create_dir_all(dir())?;
        fs::write(dir().join(format!("{rig}.json")), serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// The last run of `rig`, if there was one.
    pub fn load(rig: &str) -> Result<Option<Run>> {
        match fs::read(dir().join(format!("{rig}.json"))) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
