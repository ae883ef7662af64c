use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, FsError, Stat};

use super::{Checkout, Overwrite, temp_name};
use crate::local_file::{Canonical, checksum_local};
use crate::{Repo, RepoMode, Result};

/// How often a link is made anew that another program took away.
const TRIES: u32 = 8;

/// What came of trying to link.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    /// The name is a link to the object now.
    Yes,
    /// The name was there and stays as it is.
    Kept,
    /// Not possible here: copy, or look elsewhere.
    No,
}

impl Checkout<'_> {
    /// Links `path` in `objects` as `name` in `dir`, and deals with a name that is taken.
    pub(super) fn link(
        &self,
        repo: &Repo,
        objects: &Dir,
        path: &str,
        dir: &Dir,
        name: &str,
        checksum: &Checksum,
    ) -> Result<Linked> {
        let error = match objects.link(path, dir, name) {
            Ok(()) => return Ok(Linked::Yes),
            Err(e) => e,
        };
        if error.is_not_found() || self.may_copy(&error) {
            return Ok(Linked::No);
        }
        if !error.is_exists() {
            return Err(error.into());
        }
        match self.options.overwrite {
            Overwrite::None => Err(error.into()),
            Overwrite::AddFiles => Ok(Linked::Kept),
            Overwrite::UnionFiles | Overwrite::UnionIdentical => {
                if self.is_same(objects, path, dir, name, checksum)? {
                    return Ok(Linked::Kept);
                }
                if self.options.overwrite == Overwrite::UnionIdentical {
                    return Err(error.into());
                }
                self.link_over(repo, objects, path, dir, name)
            }
        }
    }

    /// Whether a copy does where a link failed so.
    fn may_copy(&self, error: &FsError) -> bool {
        let copyable =
            error.is_too_many_links() || error.is_cross_device() || error.is_permission();
        copyable && !self.options.require_hardlinks
    }

    /// Whether `name` is the object already: the same inode, or the same in all that makes the
    /// checksum.
    fn is_same(
        &self,
        objects: &Dir,
        path: &str,
        dir: &Dir,
        name: &str,
        checksum: &Checksum,
    ) -> Result<bool> {
        let (source, existing) = (objects.stat(path)?, dir.stat(name)?);
        if source.identity() == existing.identity() {
            return Ok(true);
        }
        Ok(looks_same(&source, &existing)
            && self.existing_checksum(dir, name, &existing)? == *checksum)
    }

    /// The checksum of a file in the destination, as the repository would store it.
    pub(super) fn existing_checksum(
        &self,
        dir: &Dir,
        name: &str,
        existing: &Stat,
    ) -> Result<Checksum> {
        let canonical = match self.repo.mode() {
            RepoMode::BareUserOnly => Canonical { no_xattrs: true, uid: Some(0), gid: Some(0) },
            _ => Canonical::default(),
        };
        checksum_local(dir, name, existing, canonical)
    }

    /// Replaces `name` in one step, by a link that is first made in `tmp` of the repository:
    /// an interrupted run leaves nothing in the destination.
    fn link_over(
        &self,
        repo: &Repo,
        objects: &Dir,
        path: &str,
        dir: &Dir,
        name: &str,
    ) -> Result<Linked> {
        let temp = format!("tmp/{}", temp_name());
        self.clear_for_whiteouts(dir, name)?;
        let mut tries = 0;
        loop {
            repo.dir().unlink_opt(&temp)?;
            let linked = objects.link(path, repo.dir(), &temp);
            match linked.and_then(|()| repo.dir().rename(&temp, dir, name)) {
                Ok(()) => return Ok(Linked::Yes),
                // The link has the time of the object. A transaction of libostree's takes it for
                // something that was forgotten there long ago.
                Err(e) if e.is_not_found() && tries < TRIES => tries += 1,
                Err(e) => {
                    repo.dir().unlink_opt(&temp)?;
                    // A taken name is told before anything else about a link.
                    return if self.may_copy(&e) { Ok(Linked::No) } else { Err(e.into()) };
                }
            }
        }
    }

    /// Layers with whiteouts may put a file where a directory was.
    pub(super) fn clear_for_whiteouts(&self, dir: &Dir, name: &str) -> Result<()> {
        if self.options.process_whiteouts {
            dir.remove_all(name)?;
        }
        Ok(())
    }
}

fn looks_same(a: &Stat, b: &Stat) -> bool {
    let same_size = !a.is_file() || a.size == b.size;
    a.mode == b.mode && same_size && a.uid == b.uid && a.gid == b.gid
}
