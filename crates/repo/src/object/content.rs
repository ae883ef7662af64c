use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::error::FormatError;
use trefoil_format::file::{ArchiveHeader, BareUserMeta, FRAME_LEN, FileHeader};
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::{Dir, File, Stat};

use crate::{Repo, RepoError, RepoMode, Result};

/// Where `bare-user` keeps owner, mode and attributes.
pub(crate) const OSTREE_META: &str = "user.ostreemeta";
/// A symbolic link in `bare-user` is a file with the target as its content.
const LINK_TARGET_LIMIT: u64 = 4097;
const S_IFMT: u32 = 0o170_000;
const S_IFLNK: u32 = 0o120_000;

/// The content of a file object, not yet read.
pub enum Content {
    /// A symbolic link has none.
    None,
    /// The object itself, open at its beginning.
    File(File),
    /// The inflating reader of an archive object.
    Inflate(Box<DeflateDecoder<File>>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::None => "None",
            Content::File(_) => "File",
            Content::Inflate(_) => "Inflate",
        })
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::None => Ok(0),
            Content::File(file) => file.read(buffer),
            Content::Inflate(inflate) => inflate.read(buffer),
        }
    }
}

/// A file object: its metadata, and its content to be read.
#[derive(Debug)]
pub struct FileObject {
    /// Owner, mode, attributes, and the target of a symbolic link.
    pub header: FileHeader,
    /// Size of the content in bytes, as stored beside it; 0 for a symbolic link.
    pub size: u64,
    /// The content.
    pub content: Content,
}

impl FileObject {
    /// Reads the content to its end and gives the checksum that content and header make.
    pub fn checksum(mut self) -> io::Result<Checksum> {
        let mut hasher = self.header.hasher();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match self.content.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                n => hasher.update(&buffer[..n]),
            }
        }
    }
}

impl Repo {
    /// Loads the metadata of a file object and opens its content. The checksum is not
    /// verified here, as in libostree: `fsck` and every import do that.
    pub fn load_file(&self, checksum: &Checksum) -> Result<FileObject> {
        match self.load_file_opt(checksum)? {
            Some(file) => Ok(file),
            None => {
                Err(RepoError::ObjectMissing { name: ObjectName::new(*checksum, ObjectType::File) })
            }
        }
    }

    /// As [`Repo::load_file`], `None` where neither this repository nor a parent holds it.
    pub fn load_file_opt(&self, checksum: &Checksum) -> Result<Option<FileObject>> {
        let path = self.object_path(&ObjectName::new(*checksum, ObjectType::File));
        match (self.load_file_at(self.objects(), &path, checksum)?, self.parent()) {
            (None, Some(parent)) => parent.load_file_opt(checksum),
            (found, _) => Ok(found),
        }
    }

    /// Loads a file object that is `path` in `dir`, stored in the mode of this repository.
    pub(crate) fn load_file_at(
        &self,
        dir: &Dir,
        path: &str,
        checksum: &Checksum,
    ) -> Result<Option<FileObject>> {
        match self.mode() {
            RepoMode::Archive => load_archive(dir, path, checksum),
            RepoMode::BareUser => load_bare_user(dir, path, checksum),
            _ => self.load_plain(dir, path, checksum),
        }
    }

    /// `bare`, `bare-split-xattrs` and `bare-user-only`: the inode says it all.
    fn load_plain(&self, dir: &Dir, path: &str, checksum: &Checksum) -> Result<Option<FileObject>> {
        let file = match dir.open_file(path) {
            Ok(file) => file,
            Err(e) if e.is_not_found() => return Ok(None),
            // A symbolic link: it cannot be opened, only looked at.
            Err(e) if e.is_not_directory() => return self.load_link(dir, path, checksum).map(Some),
            Err(e) => return Err(e.into()),
        };
        let stat = file.stat()?;
        let xattrs = match self.mode() {
            RepoMode::Bare => Xattrs::of_inode(file.xattrs()?),
            RepoMode::BareSplitXattrs => self.split_xattrs(checksum)?,
            _ => Xattrs::default(),
        };
        let header = self.plain_header(&stat, None, xattrs);
        Ok(Some(FileObject { header, size: stat.size, content: Content::File(file) }))
    }

    fn load_link(&self, dir: &Dir, path: &str, checksum: &Checksum) -> Result<FileObject> {
        let stat = dir.stat(path)?;
        let target = link_target(dir.read_link(path)?, checksum)?;
        let xattrs = match self.mode() {
            RepoMode::Bare => Xattrs::of_inode(dir.xattrs_of(path)?),
            RepoMode::BareSplitXattrs => self.split_xattrs(checksum)?,
            _ => Xattrs::default(),
        };
        let header = self.plain_header(&stat, Some(target), xattrs);
        Ok(FileObject { header, size: 0, content: Content::None })
    }

    fn plain_header(&self, stat: &Stat, target: Option<String>, xattrs: Xattrs) -> FileHeader {
        let canonical = self.mode() == RepoMode::BareUserOnly;
        FileHeader {
            uid: if canonical { 0 } else { stat.uid },
            gid: if canonical { 0 } else { stat.gid },
            mode: stat.mode,
            symlink_target: target,
            xattrs,
        }
    }

    fn split_xattrs(&self, checksum: &Checksum) -> Result<Xattrs> {
        let name = ObjectName::new(*checksum, ObjectType::FileXattrsLink);
        let bytes = self
            .objects()
            .read_opt(&*self.object_path(&name), trefoil_format::object::MAX_METADATA_SIZE)?;
        match bytes {
            None => Ok(Xattrs::default()),
            Some(bytes) => {
                Xattrs::parse(&bytes).map_err(|source| RepoError::Corrupt { name, source })
            }
        }
    }

    /// Loads a dirmeta object.
    pub fn load_dirmeta(&self, checksum: &Checksum) -> Result<DirMeta> {
        let bytes = self.load_metadata(ObjectType::DirMeta, checksum)?;
        DirMeta::parse(&bytes).map_err(|source| RepoError::Corrupt {
            name: ObjectName::new(*checksum, ObjectType::DirMeta),
            source,
        })
    }
}

fn open_content(dir: &Dir, path: &str) -> Result<Option<File>> {
    match dir.open_file(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn load_archive(dir: &Dir, path: &str, checksum: &Checksum) -> Result<Option<FileObject>> {
    let Some(file) = open_content(dir, path)? else { return Ok(None) };
    let corrupt = |source| corrupt(checksum, source);
    let mut framed = file.read_up_to(FRAME_LEN)?;
    let header_len = ArchiveHeader::parse_prefix(&framed).map_err(corrupt)?;
    framed.extend(file.read_up_to(header_len)?);
    let (parsed, _) = ArchiveHeader::parse_framed(&framed).map_err(corrupt)?;
    let content = match parsed.header.symlink_target {
        Some(_) => Content::None,
        None => Content::Inflate(Box::new(DeflateDecoder::new(file))),
    };
    Ok(Some(FileObject { header: parsed.header, size: parsed.size, content }))
}

fn load_bare_user(dir: &Dir, path: &str, checksum: &Checksum) -> Result<Option<FileObject>> {
    let Some(file) = open_content(dir, path)? else { return Ok(None) };
    let Some(meta) = file.xattr(OSTREE_META)? else {
        let what = format!("{} has no attribute {OSTREE_META}", file.path().display());
        return Err(RepoError::Refused(what));
    };
    let meta = BareUserMeta::parse(&meta).map_err(|e| corrupt(checksum, e))?;
    let mut header = FileHeader {
        uid: meta.uid,
        gid: meta.gid,
        mode: meta.mode,
        symlink_target: None,
        xattrs: meta.xattrs,
    };
    if header.mode & S_IFMT == S_IFLNK {
        let mut target = file.read_all(LINK_TARGET_LIMIT)?;
        // libostree writes the terminating zero too.
        if target.last() == Some(&0) {
            target.pop();
        }
        header.symlink_target = Some(link_target(target, checksum)?);
        return Ok(Some(FileObject { header, size: 0, content: Content::None }));
    }
    let size = file.stat()?.size;
    Ok(Some(FileObject { header, size, content: Content::File(file) }))
}

fn corrupt(checksum: &Checksum, source: FormatError) -> RepoError {
    RepoError::Corrupt { name: ObjectName::new(*checksum, ObjectType::File), source }
}

fn link_target(bytes: Vec<u8>, checksum: &Checksum) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        RepoError::Refused(format!("symbolic link {checksum}: its target is not UTF-8"))
    })
}
