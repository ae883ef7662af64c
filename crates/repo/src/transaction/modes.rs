//! What each mode of a repository makes of a file object.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use trefoil_format::checksum::Checksum;
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FileHeader};
use trefoil_fsat::{File, FsError, Timestamp};

use super::Transaction;
use crate::object::OSTREE_META;
use crate::{RepoError, RepoMode, Result};

/// The permission bits that `bare-user-only` can hold.
const BARE_USER_ONLY_BITS: u32 = 0o775;
const S_IFREG: u32 = 0o100_000;

impl Transaction<'_> {
    pub(super) fn check_mode(&self, header: &FileHeader, checksum: &Checksum) -> Result<()> {
        let bits = header.mode & 0o7777 & !BARE_USER_ONLY_BITS;
        let plain = header.symlink_target.is_none();
        if self.repo.mode() == RepoMode::BareUserOnly && plain && bits != 0 {
            let mode = header.mode;
            return Err(RepoError::BareUserOnlyMode { checksum: *checksum, mode, bits });
        }
        Ok(())
    }

    pub(super) fn compression(&self) -> Compression {
        Compression::new(self.repo.config().zlib_level)
    }

    pub(super) fn write_archive(
        &self,
        file: &File,
        header: &FileHeader,
        bytes: &[u8],
    ) -> Result<()> {
        let framed = ArchiveHeader { size: bytes.len() as u64, header: header.clone() }.to_bytes();
        let mut deflate = DeflateEncoder::new(framed, self.compression());
        // `DeflateEncoder` appends to the vector that already holds the header.
        deflate.write_all(bytes).map_err(|e| write_error(file, e))?;
        let object = deflate.finish().map_err(|e| write_error(file, e))?;
        Ok(file.write_all(&object)?)
    }

    /// Gives a bare object the metadata its mode asks for. The modification time is 0, as
    /// libostree sets it.
    pub(super) fn finish_bare(&self, file: &File, header: &FileHeader) -> Result<()> {
        match self.repo.mode() {
            RepoMode::Bare => {
                if !self.stage()?.gives_owner(header.uid, header.gid) {
                    file.set_owner(header.uid, header.gid)?;
                }
                if !self.stage()?.gives_mode(header.mode) {
                    file.set_mode(header.mode)?;
                }
                for (name, value) in header.xattrs.iter() {
                    file.set_xattr(name, value)?;
                }
            }
            RepoMode::BareUser => {
                file.set_xattr(OSTREE_META.as_bytes(), &ostree_meta(header))?;
                if header.mode & S_IFREG != 0 && header.symlink_target.is_none() {
                    file.set_mode((header.mode & 0o775) | 0o400)?;
                }
            }
            RepoMode::BareUserOnly => file.set_mode(header.mode & BARE_USER_ONLY_BITS)?,
            RepoMode::BareSplitXattrs | RepoMode::Archive => {
                return Err(RepoError::UnsupportedMode {
                    what: "writing file objects",
                    mode: self.repo.mode(),
                });
            }
        }
        Ok(file.set_mtime(Timestamp::default())?)
    }

    pub(super) fn stage_link(&self, staged: &str, header: &FileHeader, target: &str) -> Result<()> {
        let dir = self.stage()?.dir();
        match self.repo.mode() {
            RepoMode::Archive => {
                let file = dir.create_file(staged, 0o644)?;
                let framed = ArchiveHeader { size: 0, header: header.clone() }.to_bytes();
                file.write_all(&framed)?;
            }
            RepoMode::BareUser => {
                let file = dir.create_file(staged, 0o644)?;
                // The terminating zero is part of the file, as libostree has it.
                file.write_all(&[target.as_bytes(), b"\0"].concat())?;
                self.finish_bare(&file, header)?;
            }
            RepoMode::Bare => {
                dir.symlink(target, staged)?;
                dir.set_owner_of_new(staged, header.uid, header.gid)?;
                for (name, value) in header.xattrs.iter() {
                    dir.set_xattr_of_new(staged, name, value)?;
                }
            }
            RepoMode::BareUserOnly => dir.symlink(target, staged)?,
            mode @ RepoMode::BareSplitXattrs => {
                return Err(RepoError::UnsupportedMode { what: "writing file objects", mode });
            }
        }
        Ok(())
    }
}

fn ostree_meta(header: &FileHeader) -> Vec<u8> {
    BareUserMeta {
        uid: header.uid,
        gid: header.gid,
        mode: header.mode,
        xattrs: header.xattrs.clone(),
    }
    .to_bytes()
}

pub(super) fn write_error(file: &File, source: io::Error) -> RepoError {
    FsError::new("write", file.path(), source).into()
}
