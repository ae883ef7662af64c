use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::MinFreeSpace;
use crate::{Repo, RepoError, Result};

/// How much a transaction may still write before the repository's reserve is touched.
///
/// As libostree's: reckoned once when the transaction begins, in blocks, from what an ordinary
/// user may fill.
#[derive(Debug)]
pub(crate) struct SpaceBudget {
    block_size: u64,
    blocks: AtomicU64,
    setting: String,
    repo: PathBuf,
}

impl SpaceBudget {
    pub fn new(repo: &Repo) -> Result<Self> {
        let space = repo.dir().space()?;
        let block_size = space.block_size.max(1);
        let (reserve, setting) = match &repo.config().min_free_space {
            MinFreeSpace::Percent(0) => (0, String::new()),
            MinFreeSpace::Percent(percent) => {
                (space.blocks / 100 * percent, format!("min-free-space-percent '{percent}%'"))
            }
            MinFreeSpace::Size(bytes, text) => {
                (bytes / block_size, format!("min-free-space-size '{text}'"))
            }
        };
        // Without a reserve the file system itself says when it is full.
        let blocks = match reserve {
            0 => u64::MAX,
            reserve => space.available.saturating_sub(reserve),
        };
        let repo = repo.path().to_path_buf();
        Ok(SpaceBudget { block_size, blocks: AtomicU64::new(blocks), setting, repo })
    }

    /// That of a transaction that writes nothing.
    pub fn boundless() -> Self {
        SpaceBudget {
            block_size: 1,
            blocks: AtomicU64::new(u64::MAX),
            setting: String::new(),
            repo: PathBuf::new(),
        }
    }

    /// Takes room for `bytes`, or says that the reserve would be touched.
    pub fn take(&self, bytes: u64) -> Result<()> {
        let wanted = bytes / self.block_size + 1;
        let take = |left: u64| match left {
            u64::MAX => Some(u64::MAX),
            left => left.checked_sub(wanted),
        };
        match self.blocks.fetch_update(Relaxed, Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(RepoError::MinFreeSpace {
                setting: self.setting.clone(),
                requested: bytes,
                path: self.repo.clone(),
            }),
        }
    }
}
