use trefoil_format::checksum::Checksum;
use trefoil_format::file::FileHeader;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Dir, FileKind};

use super::{Checkout, Overwrite, exists};
use crate::{RepoError, RepoMode, Result};

/// Docker and OCI: the file `.wh.NAME` in a layer says that `NAME` is gone.
pub(crate) const WHITEOUT: &str = ".wh.";
/// In the same format: nothing of the lower layers is in this directory.
pub(crate) const OPAQUE: &str = ".wh..wh..opq";
/// An overlayfs whiteout, which a commit cannot hold, quoted as a file.
const QUOTED_WHITEOUT: &str = ".ostree-wh.";
const PERMISSIONS: u32 = 0o7777;

impl Checkout<'_> {
    pub(super) fn is_whiteout_name(&self, name: &str) -> bool {
        (self.options.process_whiteouts && name.starts_with(WHITEOUT))
            || (self.options.passthrough_whiteouts && name.starts_with(QUOTED_WHITEOUT))
    }

    /// Acts upon a whiteout; false where the name is that of a symbolic link, which is none.
    pub(super) fn whiteout(&self, dir: &Dir, name: &str, checksum: &Checksum) -> Result<bool> {
        let header = self.repo.load_file(checksum)?.header;
        if header.symlink_target.is_some() {
            return Ok(false);
        }
        if self.options.process_whiteouts
            && let Some(target) = name.strip_prefix(WHITEOUT)
        {
            dir.remove_all(target_of(dir, name, target)?)?;
            return Ok(true);
        }
        if let Some(target) = name.strip_prefix(QUOTED_WHITEOUT) {
            self.overlay_whiteout(dir, target_of(dir, name, target)?, &header)?;
        }
        Ok(true)
    }

    fn overlay_whiteout(&self, dir: &Dir, name: &str, header: &FileHeader) -> Result<()> {
        let error = match self.make_whiteout(dir, name, header) {
            Err(RepoError::Fs(e)) if e.is_exists() => e,
            other => return other,
        };
        match self.options.overwrite {
            Overwrite::None => Err(error.into()),
            Overwrite::AddFiles => Ok(()),
            Overwrite::UnionFiles => {
                dir.unlink_opt(name)?;
                self.make_whiteout(dir, name, header)
            }
            Overwrite::UnionIdentical => self.same_whiteout(dir, name, header),
        }
    }

    fn make_whiteout(&self, dir: &Dir, name: &str, header: &FileHeader) -> Result<()> {
        dir.make_whiteout(name, header.mode & PERMISSIONS)?;
        if self.keeps_owner() {
            for (key, value) in header.xattrs.iter() {
                dir.set_xattr_of_new(name, key, value)?;
            }
            dir.set_owner_of_new(name, header.uid, header.gid)?;
            dir.set_mode_of_whiteout(name, header.mode & PERMISSIONS)?;
        }
        Ok(())
    }

    fn same_whiteout(&self, dir: &Dir, name: &str, header: &FileHeader) -> Result<()> {
        let stat = dir.stat(name)?;
        let same_node = stat.kind() == FileKind::CharDevice && stat.rdev == 0;
        let same_owner = !self.keeps_owner()
            || (stat.uid == header.uid
                && stat.gid == header.gid
                && (stat.mode ^ header.mode) & PERMISSIONS == 0);
        let same_xattrs = self.repo.mode() == RepoMode::BareUserOnly
            || Xattrs::of_inode(dir.xattrs_of(name)?) == header.xattrs;
        if same_node && same_owner && same_xattrs { Ok(()) } else { Err(exists(dir, name)) }
    }
}

/// The name a whiteout speaks of. It must not lead out of the directory.
fn target_of<'n>(dir: &Dir, name: &str, target: &'n str) -> Result<&'n str> {
    match target {
        "" | "." | ".." => Err(RepoError::Refused(format!(
            "Invalid whiteout '{}': it names nothing to hide",
            dir.path().join(name).display()
        ))),
        target => Ok(target),
    }
}
