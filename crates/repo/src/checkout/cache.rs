use trefoil_format::checksum::Checksum;
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_fsat::Dir;

use super::copy::write_content;
use crate::{Repo, Result};

const DIR_NAME: &str = "uncompressed-objects-cache";
const DIR_MODE: u32 = 0o775;
/// Setuid and setgid bits are never in the cache.
const SET_ID_BITS: u32 = 0o6000;

/// The unpacked objects of an `archive` repository that checkouts in user mode link to: laid
/// out as `objects` of a `bare` repository, without owners and attributes. libostree calls it
/// deprecated, and still fills it by default.
#[derive(Debug)]
pub(super) struct UncompressedCache {
    dir: Dir,
    fsync: bool,
}

impl UncompressedCache {
    /// Opens or makes it; `None` where the repository is configured to have none or cannot be
    /// written to.
    pub fn open(repo: &Repo) -> Result<Option<Self>> {
        let enabled = repo.config().key_file.bool("core", "enable-uncompressed-cache");
        if matches!(enabled, Some(Ok(false))) {
            return Ok(None);
        }
        match repo.dir().ensure_dir(DIR_NAME, DIR_MODE) {
            Err(e) if e.is_permission() || e.is_read_only() => return Ok(None),
            other => other?,
        };
        let dir = repo.dir().open_dir(DIR_NAME)?;
        Ok(Some(UncompressedCache { dir, fsync: repo.config().fsync }))
    }

    /// Where the paths of [`UncompressedCache::ensure`] begin.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Unpacks an object unless it is there, and gives its path. It is synced before it gets
    /// its name: later checkouts trust what they find.
    pub fn ensure(&self, repo: &Repo, checksum: &Checksum) -> Result<LoosePath> {
        let path = LoosePath::new(&ObjectName::new(*checksum, ObjectType::File), false);
        if self.dir.exists(&*path)? {
            return Ok(path);
        }
        self.dir.ensure_dir(&path[..2], DIR_MODE)?;
        let thread = rayon::current_thread_index().unwrap_or(usize::MAX);
        let temp = format!("{}.{}-{thread}.tmp", &*path, std::process::id());
        // Left behind by a dead process that had the same number.
        self.dir.unlink_opt(&temp)?;
        let filled = self.fill(repo, checksum, &temp).and_then(|()| {
            self.dir.rename(&temp, &self.dir, &*path)?;
            Ok(())
        });
        if filled.is_err() {
            self.dir.unlink_opt(&temp)?;
        }
        filled.map(|()| path)
    }

    fn fill(&self, repo: &Repo, checksum: &Checksum, temp: &str) -> Result<()> {
        let (prefix, name) = temp.split_at(2);
        let file = self.dir.open_dir(prefix)?.create_file(&name[1..], 0o600)?;
        let mut object = repo.load_file(checksum)?;
        write_content(&file, checksum, &mut object)?;
        file.set_mode(object.header.mode & !SET_ID_BITS)?;
        if self.fsync {
            file.sync()?;
        }
        Ok(())
    }
}
