use std::collections::HashMap;

use rayon::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_format::object::ObjectType;
use trefoil_fsat::{Dir, FileKind, Stat};

use crate::{Repo, Result};

/// Which file object an inode is: finds the hard links of a checkout without reading them.
#[derive(Clone, Debug, Default)]
pub struct DevInoCache(HashMap<(u64, u64), Checksum>);

impl DevInoCache {
    /// Looks at every loose file object of a bare repository and of its parents
    /// (`--link-checkout-speedup`). An archive has none that could be linked to.
    ///
    /// The objects are taken to be what their names say, as in libostree; `fsck` finds those
    /// that were written through a link.
    pub fn scan(repo: &Repo) -> Result<Self> {
        let mut cache = match repo.parent() {
            Some(parent) => DevInoCache::scan(parent)?,
            None => DevInoCache::default(),
        };
        if repo.mode().is_bare() {
            let entries = repo.objects().entries()?;
            let found = entries
                .par_iter()
                .filter(|e| e.kind == FileKind::Directory && e.name.len() == 2)
                .filter_map(|e| e.name.to_str())
                .map(|prefix| scan_prefix(&repo.objects().open_dir(prefix)?, prefix))
                .collect::<Result<Vec<_>>>()?;
            cache.0.extend(found.into_iter().flatten());
        }
        Ok(cache)
    }

    /// Notes that the inode is the file object `checksum`.
    pub fn insert(&mut self, stat: &Stat, checksum: Checksum) {
        self.0.insert(stat.identity(), checksum);
    }

    /// The file object that the inode is.
    pub fn get(&self, stat: &Stat) -> Option<Checksum> {
        self.0.get(&stat.identity()).copied()
    }

    /// How many inodes are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn scan_prefix(dir: &Dir, prefix: &str) -> Result<Vec<((u64, u64), Checksum)>> {
    let suffix = ObjectType::File.suffix();
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let name = entry.name.to_str().and_then(|name| name.rsplit_once('.'));
        let Some((rest, _)) = name.filter(|(_, end)| *end == suffix) else { continue };
        let Ok(checksum) = Checksum::from_hex(&format!("{prefix}{rest}")) else { continue };
        found.push((dir.stat(&entry.name)?.identity(), checksum));
    }
    Ok(found)
}
