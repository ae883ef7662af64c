//! Staging for a repository that has no objects yet: in the folders that the repository will
//! have, which then get their places one by one, and not each object.

use std::sync::OnceLock;

use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_fsat::Dir;

use crate::{Repo, RepoMode, Result};

/// Before the two digits, so that libostree, which may take over a staging directory whose owner
/// died, never publishes what may be half written: it looks for names of two characters.
const PREFIX: &str = "o-";

/// The folders `o-00` to `o-ff` of a staging directory.
#[derive(Debug)]
pub(super) struct Folders {
    archive: bool,
    made: [OnceLock<()>; 256],
}

impl Folders {
    /// `None` for a repository that has objects: most of its folders are there.
    pub fn of(repo: &Repo) -> Result<Option<Folders>> {
        let objects = repo.objects();
        // Directories are counted by `..` in each, but by btrfs.
        let empty = match objects.stat_self()?.nlink {
            0 | 1 => objects.entries()?.is_empty(),
            links => links == 2,
        };
        let archive = repo.mode() == RepoMode::Archive;
        Ok(empty.then(|| Folders { archive, made: [const { OnceLock::new() }; 256] }))
    }

    /// The path of an object below the staging directory `stage`, its folder made. `None` for
    /// commits, which are published after all they need.
    pub fn path_of(&self, stage: &Dir, name: &ObjectName) -> Result<Option<String>> {
        if name.kind == ObjectType::Commit {
            return Ok(None);
        }
        let path = format!("{PREFIX}{}", &*LoosePath::new(name, self.archive));
        let made = &self.made[usize::from(name.checksum.as_bytes()[0])];
        if made.get().is_none() {
            stage.ensure_dir(&path[..PREFIX.len() + LoosePath::FOLDER_LEN], 0o775)?;
            made.get_or_init(|| ());
        }
        Ok(Some(path))
    }

    /// Gives the folder of an object its place below `objects`, with all that is in it. False
    /// where it has to be done one by one: somebody else has written objects meanwhile.
    pub fn publish(&self, stage: &Dir, name: &ObjectName, objects: &Dir) -> Result<bool> {
        let path = LoosePath::new(name, self.archive);
        match stage.rename(format!("{PREFIX}{}", path.folder()), objects, path.folder()) {
            Err(e) if e.is_exists() => Ok(false),
            renamed => Ok(renamed.map(|()| true)?),
        }
    }
}
